//! Bundles on disk: written, scanned, checked, attacked.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic, reason = "a test may")]

use super::super::fixture::{self, Story};
use super::super::lines;
use super::super::{BAG_INFO, Expect, Invalid, MANIFEST, collect_journal, verify};
use super::*;
use crate::rotation::{App, Done, Effect, Outcome, Record, SlotNo};
use crate::secret::sha256_hex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use tempfile::TempDir;

const OLD_VALUE: &str = "sk-old-4f9a2c7be1d84036a5c2e8f70b19d6e3";
const NEW_VALUE: &str = "sk-new-91c3e5a7b2d4f60817263544a9b8c7d0";

fn run_of(story: &Story) -> Run {
    Run::replay(story.records.iter().map(|(_, r)| r)).unwrap()
}

fn seal_in(dir: &TempDir, story: &Story) -> FileSeal {
    fs::write(dir.path().join("journal.jsonl"), story.bytes()).unwrap();
    FileSeal::new(dir.path())
}

fn values() -> (SecretText, SecretText) {
    (SecretText::new(OLD_VALUE), SecretText::new(NEW_VALUE))
}

/// A sealed bundle of a run, and where it is. Each story is sealed once and then copied: the scan is slow in a debug build.
fn sealed(story: &Story) -> (TempDir, PathBuf) {
    type Files = BTreeMap<String, Vec<u8>>;
    static KNOWN: Mutex<BTreeMap<Vec<u8>, Files>> = Mutex::new(BTreeMap::new());
    let files = KNOWN.lock().unwrap().get(&story.bytes()).cloned();
    let files = files.unwrap_or_else(|| {
        let dir = TempDir::new().unwrap();
        let (old, new) = values();
        seal_in(&dir, story).seal(&run_of(story), &[(OLD, &old), (NEW, &new)]).unwrap();
        let bundle = dir.path().join("bundle");
        let paths = super::super::tree::list(&bundle).unwrap().into_keys();
        let files: Files = paths.map(|p| (p.clone(), fs::read(bundle.join(p)).unwrap())).collect();
        KNOWN.lock().unwrap().insert(story.bytes(), files.clone());
        files
    });
    let dir = TempDir::new().unwrap();
    let bundle = dir.path().join("bundle");
    fs::write(dir.path().join("journal.jsonl"), story.bytes()).unwrap();
    for (path, bytes) in files {
        let place = bundle.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
    (dir, bundle)
}

/// Writes manifest and counts again, as somebody who edits a bundle with care would.
fn relist(bundle: &Path) {
    let manifest = fs::read_to_string(bundle.join(MANIFEST)).unwrap();
    let (mut lines, mut sum, mut count) = (String::new(), 0, 0);
    for path in manifest.lines().map(|l| &l[66..]) {
        let Ok(bytes) = fs::read(bundle.join(path)) else { continue };
        lines.push_str(&format!("{}  {path}\n", sha256_hex(&bytes)));
        sum += bytes.len();
        count += 1;
    }
    fs::write(bundle.join(MANIFEST), lines).unwrap();
    let bag = fs::read_to_string(bundle.join(BAG_INFO)).unwrap();
    let rest = bag.split_once('\n').unwrap().1;
    fs::write(bundle.join(BAG_INFO), format!("Payload-Oxum: {sum}.{count}\n{rest}")).unwrap();
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn refuse(bundle: &Path) -> Invalid {
    match verify(bundle, &Expect::default()) {
        Err(e) => {
            assert!(e.to_string().starts_with("verify the bundle: "), "{e}");
            e
        }
        Ok(ok) => panic!("accepted: {ok:?}"),
    }
}

#[test]
fn what_is_sealed_verifies_and_sealing_again_changes_nothing() {
    for story in [fixture::done(), fixture::rolled_back(), fixture::emergency()] {
        let (dir, bundle) = sealed(&story);
        let ok = verify(&bundle, &Expect::default()).unwrap();
        assert!(ok.rederived);
        let before = fs::metadata(bundle.join("report.md")).unwrap().modified().unwrap();
        let (old, new) = values();
        let again = FileSeal::new(dir.path()).seal(&run_of(&story), &[(OLD, &old), (NEW, &new)]).unwrap();
        assert_eq!(again.digest, ok.digest);
        assert_eq!(again.digest, sha256_hex(&fs::read(bundle.join(MANIFEST)).unwrap()));
        assert_eq!(before, fs::metadata(bundle.join("report.md")).unwrap().modified().unwrap());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[test]
fn the_usual_tool_accepts_the_manifest() {
    let (_dir, bundle) = sealed(&fixture::done());
    let Ok(out) = std::process::Command::new("sha256sum").args(["-c", "--strict", MANIFEST]).current_dir(&bundle).output() else { return };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn another_bundle_in_the_same_place_is_replaced_and_leftovers_of_a_crash_go() {
    let story = fixture::done();
    let (dir, bundle) = sealed(&story);
    fs::write(bundle.join("report.md"), "something else").unwrap();
    let head = lines::read(&story.bytes()).unwrap().head;
    for leftover in ["tmp", "old"] {
        let place = dir.path().join(format!("bundle.{leftover}-{}", &head[..8]));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("half"), "half").unwrap();
    }
    let (old, new) = values();
    FileSeal::new(dir.path()).seal(&run_of(&story), &[(OLD, &old), (NEW, &new)]).unwrap();
    verify(&bundle, &Expect::default()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_planted_secret_is_found_in_every_file_and_named_by_place_only() {
    let payload = collect_journal(&fixture::done().bytes()).unwrap().1;
    let (old, new) = values();
    let needles = [Needle { label: OLD, secret: &old }, Needle { label: NEW, secret: &new }];
    let clean = scan(&payload, &needles).unwrap();
    assert_eq!((clean.hits, clean.planted.found), (0, clean.planted.planted));
    assert!(clean.planted.planted >= 20 && clean.loaded == ["new", "old"]);
    let hex: String = NEW_VALUE.bytes().map(|b| format!("{b:02x}")).collect();
    for path in payload.files.keys() {
        for (label, form) in [("old", OLD_VALUE), ("new", NEW_VALUE), ("new", &hex), ("old", &OLD_VALUE[5..24])] {
            // Only this file: the search costs a second a payload in a debug build.
            let mut leaky = payload.clone();
            leaky.files.retain(|p, _| p == path);
            let bytes = leaky.files.get_mut(path).unwrap();
            let middle = bytes.len() / 2;
            bytes.splice(middle..middle, form.bytes());
            let Err(SealError::Leak { places }) = scan(&leaky, &needles) else { panic!("{path} with {form} was called clean") };
            assert!(places.contains(path.as_str()) && places.contains(label), "{places}");
            assert!(!places.contains(&form[..8]), "{places}");
        }
    }
}

#[test]
fn a_leak_stops_the_seal_and_leaves_no_bundle() {
    let mut story = fixture::done();
    story.records.insert(5, (story.at(), Record::Noted { what: format!("the gateway said: bad key {OLD_VALUE}") }));
    let dir = TempDir::new().unwrap();
    let (old, new) = values();
    let seal = seal_in(&dir, &story);
    for refused in [seal.scan(&run_of(&story), &[(OLD, &old), (NEW, &new)]), seal.seal(&run_of(&story), &[(OLD, &old), (NEW, &new)])] {
        let said = refused.unwrap_err();
        assert!(matches!(&said, SealError::Leak { places } if places.contains("journal.jsonl")), "{said}");
        assert!(!said.to_string().contains("4f9a2c7b"));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_extra_needle_is_looked_for_too() {
    let mut story = fixture::done();
    let token = "hvs.CAESIJ1f3n2b5v8x0zQWERTYUIOPasdf";
    story.records.insert(5, (story.at(), Record::Noted { what: format!("vault said {token}") }));
    let dir = TempDir::new().unwrap();
    let (old, new) = values();
    let seal = seal_in(&dir, &story).needle("vault token", SecretText::new(token));
    let said = seal.seal(&run_of(&story), &[(OLD, &old), (NEW, &new)]).unwrap_err();
    assert!(matches!(&said, SealError::Leak { places } if places.contains("vault token")), "{said}");
}

/// The run as it was when it scanned: the intent is the last line.
fn scanning() -> Story {
    let mut story = fixture::done();
    let at = story.records.iter().position(|(_, r)| matches!(r, Record::Began { effect: Effect::Scan, .. })).unwrap();
    story.records.truncate(at + 1);
    story
}

#[test]
fn absence_of_a_needle_is_not_zero_hits() {
    let story = scanning();
    let dir = TempDir::new().unwrap();
    let (old, new) = values();
    let (run, seal) = (run_of(&story), seal_in(&dir, &story));
    assert!(seal.scan(&run, &[(OLD, &old), (NEW, &new)]).is_ok());
    for (given, lacks) in [(vec![(NEW, &new)], OLD), (vec![(OLD, &old)], NEW)] {
        let said = seal.scan(&run, &given).unwrap_err();
        assert!(matches!(&said, SealError::MissingNeedle { needle } if needle.contains(lacks)), "{said}");
    }
    let short = SecretText::new("short");
    assert!(matches!(seal.scan(&run, &[(OLD, &short), (NEW, &new)]), Err(SealError::MissingNeedle { .. })));
    let strict = seal_in(&dir, &story).require("admin");
    assert!(matches!(strict.scan(&run, &[(OLD, &old), (NEW, &new)]), Err(SealError::MissingNeedle { .. })));
}

#[test]
fn after_the_scan_a_lost_needle_is_named_and_does_not_block() {
    let story = fixture::done();
    let dir = TempDir::new().unwrap();
    let new = SecretText::new(NEW_VALUE);
    seal_in(&dir, &story).seal(&run_of(&story), &[(NEW, &new)]).unwrap();
    let bundle = dir.path().join("bundle");
    let redaction: Redaction = serde_json::from_slice(&fs::read(bundle.join("redaction.json")).unwrap()).unwrap();
    assert_eq!(redaction.required, ["new", "old"]);
    assert_eq!(redaction.loaded, ["new"]);
    assert!(redaction.not_searched[0].label == OLD && redaction.not_searched[0].why.contains("the scan before that looked for it"));
    verify(&bundle, &Expect::default()).unwrap();
}

#[test]
fn a_journal_that_is_not_the_engines_is_not_sealed() {
    let (dir, story) = (TempDir::new().unwrap(), fixture::done());
    let (old, new) = values();
    let needles = [(OLD, &old), (NEW, &new)];
    let mut other = fixture::done();
    other.records.truncate(10);
    let seal = seal_in(&dir, &other);
    assert!(matches!(seal.seal(&run_of(&story), &needles), Err(SealError::Storage { .. })));
    let mut bytes = story.bytes();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(dir.path().join("journal.jsonl"), &bytes).unwrap();
    assert!(matches!(seal.seal(&run_of(&story), &needles), Err(SealError::Storage { .. })));
    fs::remove_file(dir.path().join("journal.jsonl")).unwrap();
    assert!(matches!(seal.seal(&run_of(&story), &needles), Err(SealError::Storage { .. })));
}

#[test]
fn each_kind_of_damage_has_its_own_words() {
    let fresh = || sealed(&fixture::done());
    let (_d, b) = fresh();
    edit(&b.join("report.md"), "rejected-proven", "rejected-proved");
    assert_eq!(refuse(&b), Invalid::Changed { path: "report.md".into() });

    let (_d, b) = fresh();
    fs::write(b.join("extra.json"), "{}").unwrap();
    assert_eq!(refuse(&b), Invalid::Added { path: "extra.json".into() });

    let (_d, b) = fresh();
    fs::remove_file(b.join("negative-test.json")).unwrap();
    assert_eq!(refuse(&b), Invalid::Missing { path: "negative-test.json".into() });

    let (_d, b) = fresh();
    fs::remove_file(b.join("negative-test.json")).unwrap();
    relist(&b);
    assert_eq!(refuse(&b), Invalid::Required { path: "negative-test.json" });

    let (_d, b) = fresh();
    let line = format!("{}  ../../secret\n", "a".repeat(64));
    let manifest = fs::read_to_string(b.join(MANIFEST)).unwrap();
    fs::write(b.join(MANIFEST), format!("{line}{manifest}")).unwrap();
    assert_eq!(refuse(&b), Invalid::Path { path: "../../secret".into() });

    let first = manifest.lines().next().unwrap();
    fs::write(b.join(MANIFEST), format!("{manifest}{first}\n")).unwrap();
    assert_eq!(refuse(&b), Invalid::Duplicate { path: first[66..].into() });

    fs::write(b.join(MANIFEST), format!("{manifest}not a line\n")).unwrap();
    assert_eq!(refuse(&b), Invalid::ManifestLine { line: manifest.lines().count() + 1 });

    let (_d, b) = fresh();
    edit(&b.join(BAG_INFO), "Payload-Oxum: ", "Payload-Oxum: 1");
    assert!(matches!(refuse(&b), Invalid::Oxum { .. }));

    let (_d, b) = fresh();
    edit(&b.join(BAG_INFO), "Journal-Lines", "Journal-Pages");
    assert_eq!(refuse(&b), Invalid::BagInfo { field: "Journal-Lines" });

    let (_d, b) = fresh();
    edit(&b.join("redaction.json"), "\"hits\": 0", "\"hits\": 1");
    relist(&b);
    assert!(matches!(refuse(&b), Invalid::Redaction { .. }));

    let (_d, b) = fresh();
    edit(&b.join("negative-test.json"), "rejected-proven", "unknown");
    relist(&b);
    assert_eq!(refuse(&b), Invalid::EndState { said: "unknown".into(), found: "rejected-proven" });

    let (_d, b) = fresh();
    edit(&b.join("plan.json"), "platform-ai", "platform-ia");
    relist(&b);
    assert!(matches!(refuse(&b), Invalid::PlanId { place: "plan.json (by its digest)", .. }));

    let (_d, b) = fresh();
    edit(&b.join("report.md"), "| Exceptions | none |", "| Exceptions | None |");
    relist(&b);
    assert_eq!(refuse(&b), Invalid::NotFromJournal { path: "report.md".into() });

    let (_d, b) = fresh();
    fs::remove_dir_all(&b).unwrap();
    assert!(matches!(refuse(&b), Invalid::Unreadable { .. }));
}

#[test]
fn an_edited_or_shortened_journal_is_noticed_even_when_the_manifest_agrees() {
    let (_d, b) = sealed(&fixture::done());
    let path = b.join("journal.jsonl");
    let whole = fs::read(&path).unwrap();
    edit(&path, "mira", "mara");
    relist(&b);
    assert!(matches!(refuse(&b), Invalid::Journal { .. }));

    let cut = whole[..whole.len() - 1].iter().rposition(|c| *c == b'\n').unwrap() + 1;
    fs::write(&path, &whole[..cut]).unwrap();
    relist(&b);
    assert!(matches!(refuse(&b), Invalid::Head { .. }));

    fs::write(&path, &whole[..cut + 20]).unwrap();
    relist(&b);
    assert_eq!(refuse(&b), Invalid::Torn);
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let (_d, b) = sealed(&fixture::done());
    let outside = TempDir::new().unwrap();
    fs::rename(b.join("report.md"), outside.path().join("report.md")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("report.md"), b.join("report.md")).unwrap();
    assert_eq!(refuse(&b), Invalid::Link { path: "report.md".into() });
    fs::remove_file(b.join("report.md")).unwrap();
    std::os::unix::fs::symlink("/", b.join("root")).unwrap();
    assert_eq!(refuse(&b), Invalid::Link { path: "root".into() });
}

#[test]
fn absurd_sizes_are_not_read() {
    let (_d, b) = sealed(&fixture::done());
    let file = fs::File::options().write(true).open(b.join("report.md")).unwrap();
    file.set_len(3 << 30).unwrap();
    assert!(matches!(refuse(&b), Invalid::TooBig { .. }));
}

#[test]
fn the_bundle_of_another_run_is_not_the_one_that_was_asked_for() {
    let (_d, done) = sealed(&fixture::done());
    let (_e, back) = sealed(&fixture::rolled_back());
    let about = verify(&done, &Expect::default()).unwrap();
    let noted = Expect { head: Some(about.head), digest: Some(about.digest), run: Some(about.run), plan: Some(about.plan_id) };
    let same = verify(&done, &noted).unwrap();
    assert_eq!(same.not_established.len(), 1);
    assert!(matches!(verify(&back, &noted), Err(Invalid::Other { .. })));
    // Files of one run under the manifest of another.
    fs::copy(back.join("negative-test.json"), done.join("negative-test.json")).unwrap();
    relist(&done);
    assert!(matches!(refuse(&done), Invalid::NotFromJournal { .. } | Invalid::EndState { .. }));
}

#[test]
fn a_bundle_of_another_version_is_said_to_be_less_checked() {
    let (_d, b) = sealed(&fixture::done());
    edit(&b.join(BAG_INFO), "Tool-Version: keyroll ", "Tool-Version: keyroll 9.");
    let ok = verify(&b, &Expect::default()).unwrap();
    assert!(!ok.rederived && ok.not_established.iter().any(|n| n.contains("another version")));
}

#[test]
fn retiring_after_the_scan_is_in_the_bundle() {
    let mut story = scanning();
    story.end(8, Outcome::Done(Done::Written { digest: "d".repeat(64), place: "not written yet".into() }), crate::rotation::By::Answer);
    story.effect(Effect::Retire { slot: SlotNo(0) }, Done::Plain);
    story.begin(Effect::Seal);
    let (_d, b) = sealed(&story);
    assert!(!fs::read_to_string(b.join("versions.json")).unwrap().contains("\"old_unlinked_at\": null"));
}

#[test]
fn a_waived_needle_does_not_hide_another_apps_name() {
    // A consumer's name with everything that a file system dislikes still gives a bundle that verifies.
    let mut story = fixture::done();
    for (_, record) in &mut story.records {
        if let Record::Judged { point, .. } = record
            && let crate::rotation::Point::Reloaded(app) = point
        {
            *app = App::new("../AUX:a\u{202e}|b\n");
        }
    }
    let (_d, b) = sealed(&story);
    verify(&b, &Expect::default()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_changed_byte_of_any_file_is_noticed(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (_d, b) = sealed(&fixture::rolled_back());
        let paths: Vec<String> = super::super::tree::list(&b).unwrap().into_keys().filter(|p| p != BAG_INFO).collect();
        let path = b.join(file.get(&paths));
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        prop_assert!(verify(&b, &Expect::default()).is_err());
    }

    #[test]
    fn rubbish_never_panics(manifest in "\\PC{0,200}", bag in "\\PC{0,200}", journal in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_d, b) = sealed(&fixture::rolled_back());
        fs::write(b.join("journal.jsonl"), &journal).unwrap();
        relist(&b);
        prop_assert!(verify(&b, &Expect::default()).is_err());
        fs::write(b.join(BAG_INFO), bag).unwrap();
        prop_assert!(verify(&b, &Expect::default()).is_err());
        fs::write(b.join(MANIFEST), manifest).unwrap();
        prop_assert!(verify(&b, &Expect::default()).is_err());
    }
}
