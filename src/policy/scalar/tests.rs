//! Tests of the text types.
#![expect(clippy::unwrap_used, reason = "a test may")]

use proptest::prelude::*;

use super::*;

#[test]
fn periods_read_and_print() {
    for (text, millis, shown) in [
        ("500ms", 500, "500ms"),
        ("60m", 3_600_000, "1h"),
        ("90m", 5_400_000, "90m"),
        ("24h", 86_400_000, "24h"),
        ("26h", 93_600_000, "26h"),
        ("2w", 14 * 86_400_000, "14d"),
        ("1h30m", 5_400_000, "90m"),
        ("0s", 0, "0s"),
    ] {
        let period = Period::parse(text).unwrap();
        assert_eq!(period.as_millis(), millis, "{text}");
        assert_eq!(period.to_string(), shown, "{text}");
    }
    for text in ["", "60", "m", "1.5h", "-5m", "30m1h", "5m5m", "5 m", "99999999999999999999d", "4000d", "５m"] {
        assert_eq!(Period::parse(text).unwrap_err().code, Code::BadDuration, "{text}");
    }
}

#[test]
fn rates_read_and_print() {
    assert_eq!(Rate::parse("5%").unwrap().parts_per_million(), 50_000);
    assert_eq!(Rate::parse("0.1%").unwrap().to_string(), "0.1%");
    for text in ["5", "0%", "100%", "-1%", "5.%", "%", "0.00001%", "1e2%"] {
        assert_eq!(Rate::parse(text).unwrap_err().code, Code::BadRate, "{text}");
    }
}

#[test]
fn addresses_are_judged() {
    for text in ["https://a.example/v1", "http://127.0.0.1:8080", "http://[::1]:80/x?y=1", "https://host_1/a@b"] {
        assert!(Url::parse(text).is_ok(), "{text}");
    }
    for text in
        ["router.example.com", "ftp://x", "https://", "https://a b", "https://x:0/", "https://x:99999", "https://x#y", "http://[zz]"]
    {
        assert_eq!(Url::parse(text).unwrap_err().code, Code::BadUrl, "{text}");
    }
    assert_eq!(Url::parse("https://user:pw@host/").unwrap_err().code, Code::CredentialsInUrl);
    assert_eq!(Url::parse("https://host/x?a=1&api_key=x").unwrap_err().code, Code::CredentialsInUrl);
    assert!(Url::parse("http://gw.internal:4000/x").unwrap().is_insecure());
    assert!(!Url::parse("http://localhost:4000/x").unwrap().is_insecure());
    assert_eq!(Url::parse("https://a.example:8443/v1?x").unwrap().origin(), "https://a.example:8443");
}

#[test]
fn names_times_and_places() {
    for text in ["aux", "Aux.json", "com1", "-a", "a:b", "a b", "", "a.", "ä"] {
        assert_eq!(Name::parse(text).unwrap_err().code, Code::BadName, "{text}");
    }
    assert!(Name::parse("new-key-errors.v2").is_ok());
    assert_eq!(TimeOfDay::parse("24:00").unwrap().minutes(), 1440);
    for text in ["24:01", "9:00", "12:60", "noon"] {
        assert!(TimeOfDay::parse(text).is_err(), "{text}");
    }
    assert!(Day::parse("2026-02-30").is_err());
    assert!(Moment::parse("2026-12-24T18:00").is_ok() && Moment::parse("2026-12-24 18:0").is_err());
    assert!(Zone::parse("Europe/Vienna").is_ok() && Zone::parse("Vienna").is_err());
    assert!(StatePlace::parse("s3://bucket/x").is_ok() && StatePlace::parse("postgres://x").is_err());
    assert!(Pointer::parse("/a/b~1c").is_ok() && Pointer::parse("a.b").is_err() && Pointer::parse("/a~2").is_err());
    assert!(StatusClass::parse("5xx").is_ok() && StatusClass::parse(">=500").is_err());
    assert_eq!(Reason::parse("Suspected leak in CI").unwrap().kind, ReasonKind::SuspectedLeak);
    assert!(Reason::parse("because").is_err());
}

proptest! {
    #[test]
    fn a_period_survives_printing(millis in 0u64..3_000 * 86_400_000) {
        let period = Period::millis(millis);
        prop_assert_eq!(Period::parse(&period.to_string()).unwrap(), period);
    }

    #[test]
    fn a_rate_survives_printing(parts in 1u32..1_000_000) {
        let rate = Rate::parse(&format!("{}.{:04}%", parts / 10_000, parts % 10_000)).unwrap();
        prop_assert_eq!(Rate::parse(&rate.to_string()).unwrap(), rate);
        prop_assert_eq!(rate.parts_per_million(), parts);
    }

    #[test]
    fn no_text_makes_a_check_panic(text in "\\PC{0,20}") {
        for format in ["duration-text", "rate", "http-url", "variable-name", "name", "status-class", "time-of-day", "day", "moment",
            "time-zone", "state-place", "pointer", "reason"] {
            let _ = check(format, &text);
        }
    }
}
