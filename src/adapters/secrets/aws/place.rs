//! Which secret, in which region: what can be said without asking AWS.

use crate::policy::model::reference::AwsPlace;

/// The parts of the name of a secret that is given as an ARN.
struct Arn<'a> {
    region: &'a str,
    name: &'a str,
}

/// The region that a policy names, by itself or inside an ARN.
pub(super) fn region(place: &AwsPlace) -> Option<&str> {
    place.region.as_deref().or_else(|| arn(&place.secret).map(|arn| arn.region))
}

/// How messages name the slot.
pub(super) fn name(place: &AwsPlace) -> String {
    match &place.field {
        Some(field) => format!("aws secret {} field {field}", short(&place.secret)),
        None => format!("aws secret {}", short(&place.secret)),
    }
}

/// The same for every way to write one secret, as far as that shows without asking. The field is left out on purpose: a version is
/// a whole document, so two runs that change two fields of one secret are in each other's way. `variable` reads the environment.
pub(super) fn address(place: &AwsPlace, variable: impl Fn(&str) -> Option<String>) -> String {
    let region = region(place).map(str::to_owned).or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    format!("aws:{}:{}", region.unwrap_or_else(|| "default".into()), short(&place.secret))
}

/// The name without what an ARN has around it.
fn short(secret: &str) -> &str {
    arn(secret).map_or(secret, |arn| arn.name)
}

/// `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-RANDOM`; AWS adds a hyphen and six characters to the name.
fn arn(secret: &str) -> Option<Arn<'_>> {
    let mut parts = secret.splitn(7, ':');
    let (start, _partition, service, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (_account, kind, full) = (parts.next()?, parts.next()?, parts.next()?);
    if start != "arn" || service != "secretsmanager" || kind != "secret" {
        return None;
    }
    let name = match full.rsplit_once('-') {
        Some((name, random)) if random.len() == 6 && !name.is_empty() => name,
        Some(_) | None => full,
    };
    Some(Arn { region, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(secret: &str, region: Option<&str>) -> AwsPlace {
        AwsPlace { secret: secret.into(), region: region.map(str::to_owned), field: Some("key".into()), endpoint: None }
    }

    #[test]
    fn a_name_and_its_arn_are_one_address() {
        let arn = place("arn:aws:secretsmanager:eu-central-1:123456789012:secret:ai/router-AbCdEf", None);
        let name = place("ai/router", Some("eu-central-1"));
        assert_eq!(address(&arn, |_| None), "aws:eu-central-1:ai/router");
        assert_eq!(address(&arn, |_| None), address(&name, |_| Some("us-east-1".into())));
    }

    #[test]
    fn without_a_region_the_environment_decides() {
        let variable = |name: &str| (name == "AWS_DEFAULT_REGION").then(|| "us-west-2".to_owned());
        assert_eq!(address(&place("x", None), variable), "aws:us-west-2:x");
        assert_eq!(address(&place("x", None), |_| None), "aws:default:x");
    }

    #[test]
    fn a_name_may_look_a_little_like_an_arn() {
        assert_eq!(short("arn:aws:s3:::bucket:a:b"), "arn:aws:s3:::bucket:a:b");
        assert_eq!(short("arn:aws:secretsmanager:r:1:secret:plain"), "plain");
    }
}
