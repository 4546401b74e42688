//! The file slot against people, crashes, links and other runs.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const DOCUMENT: &str =
    "# app settings\r\nexport DB_PASSWORD='d b'   # not ours\nKEY=\"old-value-0123456789\" # rotated by keyroll\n\nLAST=1";
const OLD: &str = "old-value-0123456789";
const NEW: &str = "new-value-0123456789";

struct Slot {
    folder: tempfile::TempDir,
    store: FileStore,
}

impl Slot {
    fn new(field: Field, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), text).unwrap();
        let store = Self::store_at(folder.path().join(".env"), field);
        Self { folder, store }
    }

    fn env() -> Self {
        Self::new(Field::Variable("KEY".into()), DOCUMENT)
    }

    fn store_at(path: PathBuf, field: Field) -> FileStore {
        FileStore::new(path, field, Rc::new(FingerprintKey::from_bytes(&[7; 32]).unwrap()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path(".env")).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn is(&self, value: &str) -> Option<Fingerprint> {
        Some(self.store.fingerprints.of(&SecretText::new(value)))
    }
}

fn run(name: &str) -> RunId {
    RunId::new(name)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn stage(store: &FileStore, name: &str) -> Result<Snapshot> {
    wait(store.stage(&run(name), &SecretText::new(NEW))).map(|(_, s)| s)
}

fn promote(store: &FileStore, name: &str, guard: &str) -> Result<Snapshot> {
    wait(store.promote(&run(name), guard))
}

fn demote(store: &FileStore, name: &str, guard: &str) -> Result<Snapshot> {
    wait(store.demote(&run(name), guard, &SecretText::new(OLD)))
}

fn observe(store: &FileStore) -> Snapshot {
    wait(store.observe()).unwrap()
}

fn value(store: &FileStore, place: Place) -> Option<String> {
    wait(store.read(place)).unwrap().map(|v| v.expose().to_owned())
}

#[test]
fn the_whole_way_changes_one_value_and_leaves_nothing_behind() {
    let slot = Slot::env();
    fs::set_permissions(slot.path(".env"), fs::Permissions::from_mode(0o640)).unwrap();
    let staged = stage(&slot.store, "r1").unwrap();
    assert_eq!(slot.text(), DOCUMENT, "readers do not notice");
    assert_eq!((staged.current_is.clone(), staged.pending_is.clone()), (slot.is(OLD), slot.is(NEW)));
    assert_eq!(staged.pending_run.as_deref(), Some("r1"));
    assert_eq!(fs::read_to_string(slot.path(".env.pending")).unwrap(), format!("KEY={NEW}\n"), "no other secret is copied");
    let after = promote(&slot.store, "r1", &staged.guard).unwrap();
    assert_eq!(slot.text(), DOCUMENT.replace(OLD, NEW), "every other byte is as it was");
    assert_eq!((after.current_is, after.previous_is, after.pending_is), (slot.is(NEW), slot.is(OLD), slot.is(NEW)));
    assert_ne!(after.guard, staged.guard);
    for helper in [".env.pending", ".env.previous", ".env.pending.run"] {
        assert_eq!(fs::metadata(slot.path(helper)).unwrap().mode() & 0o777, 0o600, "{helper}");
    }
    assert_eq!(fs::metadata(slot.path(".env")).unwrap().mode() & 0o777, 0o640);
    wait(slot.store.drop_pending(&run("r1"))).unwrap();
    let end = wait(slot.store.retire(&run("r1"), Retire::Unlink)).unwrap();
    assert_eq!((end.pending, end.previous, end.current_is), (None, None, slot.is(NEW)));
    assert_eq!(slot.names(), [".env"]);
    wait(slot.store.retire(&run("r1"), Retire::Destroy)).unwrap();
}

#[test]
fn a_whole_file_keeps_its_line_end_or_its_lack_of_one() {
    for end in ["", "\n", "\r\n"] {
        let slot = Slot::new(Field::Whole, &format!("{OLD}{end}"));
        let staged = stage(&slot.store, "r1").unwrap();
        promote(&slot.store, "r1", &staged.guard).unwrap();
        assert_eq!(slot.text(), format!("{NEW}{end}"));
        assert_eq!(value(&slot.store, Place::Previous).as_deref(), Some(OLD));
        assert!(!slot.store.caps().shared_document);
    }
    let lines = Slot::new(Field::Whole, "one\ntwo\n");
    assert!(matches!(wait(lines.store.observe()), Err(PortError::Refused { .. })));
}

#[test]
fn a_link_stays_and_the_file_behind_it_changes() {
    let slot = Slot::env();
    let link = slot.path("linked");
    std::os::unix::fs::symlink(".env", &link).unwrap();
    let store = Slot::store_at(link.clone(), Field::Variable("KEY".into()));
    assert_eq!(store.address(), slot.store.address(), "one place has one address");
    let staged = stage(&store, "r1").unwrap();
    let direct = observe(&slot.store);
    assert_eq!((direct.pending, direct.pending_run, direct.guard), (staged.pending, staged.pending_run, staged.guard.clone()));
    promote(&store, "r1", &staged.guard).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(slot.text(), DOCUMENT.replace(OLD, NEW));
    fs::remove_file(slot.path(".env")).unwrap();
    assert!(wait(store.observe()).unwrap_err().to_string().contains("does not exist"), "a dead link");
}

#[test]
fn a_change_of_another_field_moves_the_guard_and_survives_promote_and_demote() {
    let slot = Slot::env();
    let staged = stage(&slot.store, "r1").unwrap();
    fs::write(slot.path(".env"), slot.text().replace("d b", "changed on tuesday")).unwrap();
    assert!(matches!(promote(&slot.store, "r1", &staged.guard), Err(PortError::Conflict { .. })));
    assert!(slot.text().contains(OLD) && !slot.path(".env.previous").exists(), "nothing was written");
    let seen = promote(&slot.store, "r1", &observe(&slot.store).guard).unwrap();
    assert!(slot.text().contains("changed on tuesday") && slot.text().contains(NEW));
    fs::write(slot.path(".env"), slot.text().replace("LAST=1", "LAST=2\nMORE='x'")).unwrap();
    assert!(matches!(demote(&slot.store, "r1", &seen.guard), Err(PortError::Conflict { .. })));
    let back = demote(&slot.store, "r1", &observe(&slot.store).guard).unwrap();
    assert_eq!(slot.text(), DOCUMENT.replace("d b", "changed on tuesday").replace("LAST=1", "LAST=2\nMORE='x'"));
    assert_eq!((back.current_is, back.previous), (slot.is(OLD), None));
}

#[test]
fn a_change_of_our_own_field_is_a_conflict_too() {
    let slot = Slot::env();
    let staged = stage(&slot.store, "r1").unwrap();
    fs::write(slot.path(".env"), DOCUMENT.replace(OLD, "somebody-elses-0123456789")).unwrap();
    assert!(matches!(promote(&slot.store, "r1", &staged.guard), Err(PortError::Conflict { .. })));
}

#[test]
fn the_pending_value_of_another_run_is_named_and_left_alone() {
    let slot = Slot::env();
    let staged = stage(&slot.store, "r1").unwrap();
    for refused in [stage(&slot.store, "r2"), promote(&slot.store, "r2", &staged.guard)] {
        let why = refused.unwrap_err();
        assert!(matches!(why, PortError::Conflict { .. }) && why.to_string().contains("run r1"), "{why}");
    }
    wait(slot.store.drop_pending(&run("r2"))).unwrap();
    assert_eq!(observe(&slot.store), staged);
    fs::write(slot.path(".env.pending"), "KEY=planted-value-0123456789\n").unwrap();
    let planted = observe(&slot.store);
    assert_eq!((planted.pending_run, planted.pending_is), (None, slot.is("planted-value-0123456789")));
    let why = promote(&slot.store, "r1", &planted.guard).unwrap_err().to_string();
    assert!(why.contains("no run wrote"), "{why}");
}

#[test]
fn a_previous_file_that_is_not_ours_is_never_overwritten() {
    let slot = Slot::env();
    fs::write(slot.path(".env.previous"), "KEY=precious\n").unwrap();
    let why = stage(&slot.store, "r1").unwrap_err().to_string();
    assert!(why.contains(".env.previous was not written by keyroll"), "{why}");
    let seen = observe(&slot.store);
    assert_eq!(seen.previous, None);
    assert!(seen.warnings.iter().any(|w| w.contains(".env.previous")));
    wait(slot.store.retire(&run("r1"), Retire::Destroy)).unwrap();
    assert_eq!(fs::read_to_string(slot.path(".env.previous")).unwrap(), "KEY=precious\n");
}

#[test]
fn what_cannot_be_changed_in_one_way_is_refused() {
    let twice = Slot::new(Field::Variable("KEY".into()), &format!("KEY={OLD}\nexport KEY=other\n"));
    assert!(wait(twice.store.observe()).unwrap_err().to_string().contains("more than one line"));
    let missing = Slot::new(Field::Variable("KEY".into()), "OTHER=1\nKEY=\n");
    let seen = observe(&missing.store);
    assert!(seen.current.is_none() && !seen.warnings.is_empty());
    assert!(matches!(stage(&missing.store, "r1"), Err(PortError::Conflict { .. })));
    let gone = Slot::env();
    fs::remove_file(gone.path(".env")).unwrap();
    assert_eq!(observe(&gone.store).guard, ABSENT);
    assert!(stage(&gone.store, "r1").unwrap_err().to_string().contains("does not exist"));
    let linked = Slot::env();
    fs::hard_link(linked.path(".env"), linked.path("twin")).unwrap();
    assert!(stage(&linked.store, "r1").unwrap_err().to_string().contains("hard links"));
    let value = SecretText::new("with a blank 0123456789");
    assert!(matches!(wait(Slot::env().store.stage(&run("r1"), &value)), Err(PortError::Refused { .. })));
    assert_eq!(linked.names(), [".env", "twin"], "no lock and no helper is left");
}

#[test]
fn a_helper_that_is_a_link_is_not_written_through() {
    let slot = Slot::env();
    fs::write(slot.path("victim"), "x").unwrap();
    std::os::unix::fs::symlink("victim", slot.path(".env.pending.run")).unwrap();
    assert!(stage(&slot.store, "r1").is_err());
    assert_eq!(fs::read_to_string(slot.path("victim")).unwrap(), "x");
}

/// A crash leaves some prefix of the writes of a step. After each of them a look tells the truth, and the step can be done again.
#[test]
fn after_a_crash_at_any_point_a_look_tells_the_truth() {
    // In stage: after the note, before the value.
    let slot = Slot::env();
    stage(&slot.store, "r1").unwrap();
    fs::remove_file(slot.path(".env.pending")).unwrap();
    assert_eq!((observe(&slot.store).pending, observe(&slot.store).pending_run), (None, None));
    stage(&slot.store, "r1").unwrap();

    // In a second stage of another value: after the note, before the value.
    let note = fs::read(slot.path(".env.pending.run")).unwrap();
    let (value, again) = (fs::read(slot.path(".env.pending")).unwrap(), SecretText::new("another-value-0123456789"));
    wait(slot.store.stage(&run("r1"), &again)).unwrap();
    fs::write(slot.path(".env.pending"), &value).unwrap();
    assert_eq!(observe(&slot.store).pending_run.as_deref(), Some("r1"), "the value before is still known to be ours");
    fs::write(slot.path(".env.pending.run"), note).unwrap();

    // In promote: a temporary file is left, then the previous value is written, and the slot is not.
    fs::write(slot.path(".keyroll-r1-abc"), "half").unwrap();
    slot.store.write_helper(Helper::Previous, &run("r1"), &slot.store.existing("x").unwrap(), &SecretText::new(OLD)).unwrap();
    let seen = observe(&slot.store);
    assert_eq!((seen.current_is.clone(), seen.previous_is.clone()), (slot.is(OLD), slot.is(OLD)));
    let moved = promote(&slot.store, "r1", &seen.guard).unwrap();
    assert!(!slot.names().iter().any(|n| n.starts_with(".keyroll-r1")), "{:?}", slot.names());

    // In promote: the slot is written, the answer was lost. Doing it again with the present guard changes nothing.
    let text = slot.text();
    let same = promote(&slot.store, "r1", &moved.guard).unwrap();
    assert_eq!((slot.text(), same.previous_is.clone()), (text, slot.is(OLD)));

    // In demote: the slot is written, the previous helper is still there.
    demote(&slot.store, "r1", &same.guard).unwrap();
    slot.store.write_helper(Helper::Previous, &run("r1"), &slot.store.existing("x").unwrap(), &SecretText::new(OLD)).unwrap();
    let seen = observe(&slot.store);
    assert_eq!(seen.current_is, slot.is(OLD));
    assert_eq!(demote(&slot.store, "r1", &seen.guard).unwrap().previous, None);

    // In drop: the value is gone, its note is not.
    fs::remove_file(slot.path(".env.pending")).unwrap();
    assert_eq!(wait(slot.store.drop_pending(&run("r1"))).unwrap().pending, None);
    assert_eq!(slot.names(), [".env"]);
    assert_eq!(slot.text(), DOCUMENT);
}

#[test]
fn two_writers_take_turns() {
    let slot = Slot::env();
    let staged = stage(&slot.store, "r1").unwrap();
    let path = slot.path(".env");
    let outcomes: Vec<bool> = std::thread::scope(|threads| {
        let racers: Vec<_> = (0..4)
            .map(|_| {
                let (path, guard) = (path.clone(), staged.guard.clone());
                threads.spawn(move || promote(&Slot::store_at(path, Field::Variable("KEY".into())), "r1", &guard).is_ok())
            })
            .collect();
        racers.into_iter().map(|r| r.join().unwrap()).collect()
    });
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1, "the others' guard no longer fits");
    assert_eq!(slot.text(), DOCUMENT.replace(OLD, NEW));
    assert!(!slot.path(".env.keyroll-lock").exists());
}

#[test]
fn a_single_file_mount_is_recognised() {
    let mounts = "36 35 98:0 / /srv/my\\040app/.env rw,noatime - ext4 /dev/sda rw\n";
    assert!(is_mount_point(mounts, Path::new("/srv/my app/.env")));
    assert!(!is_mount_point(mounts, Path::new("/srv/my app")));
}

#[test]
fn nothing_said_about_a_slot_holds_its_value() {
    let slot = Slot::env();
    let staged = stage(&slot.store, "r1").unwrap();
    let said = serde_json::to_string(&staged).unwrap();
    assert!(!said.contains(OLD) && !said.contains(NEW) && !said.contains(&crate::secret::sha256_hex(DOCUMENT.as_bytes())));
    assert!(!fs::read_to_string(slot.path(".env.pending.run")).unwrap().contains(NEW));
}
