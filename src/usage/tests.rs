//! The reader against files that grow, tear, rotate, and lie.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::{Field, JsonlReader, Mapping, Settings};
use crate::ports::UsageQuery;
use crate::rotation::{App, CallerCount, KeyId, RequestId, Span, Time, UsageTable, Which};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

struct Log {
    folder: tempfile::TempDir,
    own: BTreeMap<RequestId, Which>,
}

impl Log {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), own: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reader(&self, pattern: &str) -> JsonlReader {
        self.reader_of(Settings::new(vec![self.path(pattern).display().to_string()], Mapping::sandbox()))
    }

    fn reader_of(&self, settings: Settings) -> JsonlReader {
        JsonlReader::new(settings).unwrap()
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn read(&self, reader: &mut JsonlReader) -> UsageTable {
        self.read_from(reader, 0)
    }

    fn read_from(&self, reader: &mut JsonlReader, from: i64) -> UsageTable {
        reader.refresh().unwrap();
        let (old, new) = (KeyId::new("old"), KeyId::new("new"));
        reader.table(&UsageQuery { old: &old, new: Some(&new), from: Time(T0 + from), to: Time(T0 + 100_000), own: &self.own })
    }
}

const T0: i64 = 1_800_000_000_000;

fn row(at: i64, key: &str, app: &str, status: u16, id: &str) -> String {
    let error = if status == 401 { "\"invalid_api_key\"" } else { "null" };
    format!(
        "{{\"ts\":\"{}\",\"request_id\":\"{id}\",\"key_id\":{key},\"consumer\":\"{app}\",\"owner\":\"team\",\"status\":{status},\"error_type\":{error},\"x\":{{\"deep\":[1,2]}}}}\n",
        Time(T0 + at).rfc3339()
    )
}

fn of(table: &UsageTable, key: Which, app: &str) -> CallerCount {
    table.of(key).get(&App::new(app)).cloned().unwrap_or_default()
}

#[test]
fn rows_are_counted_by_key_caller_and_class() {
    let log = Log::new();
    for (at, status) in [(1_000, 200), (9_000, 500), (4_000, 200), (9_500, 401)] {
        log.append("a.jsonl", &row(at, "\"old\"", "web", status, ""));
    }
    log.append("a.jsonl", &row(5_000, "\"third\"", "web", 200, ""));
    log.append("a.jsonl", &row(6_000, "null", "web", 401, ""));
    let table = log.read(&mut log.reader("*.jsonl"));
    let web = of(&table, Which::Old, "web");
    assert_eq!((web.accepted, web.refused, web.other), (2, 1, 1));
    assert_eq!(web.last_used, Some(Time(T0 + 9_000)), "another failure is a use, a refusal is not");
    assert_eq!((web.first, web.last_refused, web.longest_gap), (Some(Time(T0 + 1_000)), Some(Time(T0 + 9_500)), Span(5_000)));
    assert_eq!((table.rows, table.malformed, table.new.len()), (6, 0, 0));
}

#[test]
fn a_401_of_another_kind_is_no_refusal_of_the_credential() {
    let log = Log::new();
    log.append("a.jsonl", &row(1, "\"old\"", "web", 401, "").replace("invalid_api_key", "waf"));
    let web = of(&log.read(&mut log.reader("a.jsonl")), Which::Old, "web");
    assert_eq!((web.refused, web.other), (0, 1));
}

#[test]
fn reading_goes_on_where_it_stopped_and_a_torn_line_waits() {
    let log = Log::new();
    let mut reader = log.reader("a.jsonl");
    let line = row(1, "\"old\"", "web", 200, "");
    let (head, rest) = line.split_at(40);
    log.append("a.jsonl", &(line.clone() + head));
    assert_eq!(log.read(&mut reader).rows, 1);
    assert_eq!(log.read(&mut reader).malformed, 0, "the writer is not done");
    log.append("a.jsonl", rest);
    assert_eq!(log.read(&mut reader).rows, 2);
    log.append("a.jsonl", "not json\n\n[1]\n{\"key_id\":\"old\"}\n");
    let table = log.read(&mut reader);
    assert_eq!((table.rows, table.malformed), (2, 3));
}

#[test]
fn malformed_lines_before_the_window_hide_nothing_in_it() {
    let log = Log::new();
    log.append("a.jsonl", "rubbish\n");
    log.append("a.jsonl", &row(1_000, "\"old\"", "web", 200, ""));
    log.append("a.jsonl", &row(9_000, "\"new\"", "web", 200, "").repeat(80));
    let mut reader = log.reader("a.jsonl");
    assert_eq!(log.read_from(&mut reader, 500).malformed, 1);
    log.append("a.jsonl", "rubbish\n");
    assert_eq!(log.read_from(&mut reader, 9_500).malformed, 1, "the last line may be anything");
}

#[test]
fn a_row_with_a_key_and_a_time_counts_whatever_else_is_broken() {
    let log = Log::new();
    log.append("a.jsonl", &format!("{{\"ts\":{T0},\"key_id\":\"old\",\"status\":{{}},\"consumer\":[1],\"request_id\":true}}\n"));
    log.append("a.jsonl", &format!("{{\"key_id\":\"x\",\"ts\":\"{}\",\"key_id\":\"o\\u006cd\"}}\n", T0 + 5));
    let table = log.read(&mut log.reader("a.jsonl"));
    assert_eq!(of(&table, Which::Old, "").other, 2);
}

#[test]
fn our_own_call_is_taken_out_once_and_a_repetition_is_a_strangers() {
    let mut log = Log::new();
    log.own.insert(RequestId::new("kr-1"), Which::New);
    log.own.insert(RequestId::new("kr-2"), Which::Old);
    log.append("b.jsonl", &row(20, "\"new\"", "web", 200, "kr-1"));
    log.append("a.jsonl", &row(10, "\"new\"", "", 200, "kr-1"));
    log.append("a.jsonl", &row(11, "\"third\"", "", 401, "kr-2"));
    log.append("a.jsonl", &row(12, "\"new\"", "", 200, "kr-11"));
    let table = log.read(&mut log.reader("*.jsonl"));
    assert_eq!(of(&table, Which::New, "web").accepted, 1, "the later one is not ours");
    assert_eq!(of(&table, Which::New, "").accepted, 1, "an id that only begins like ours is not ours");
    let (one, two) = (&table.own[&RequestId::new("kr-1")], &table.own[&RequestId::new("kr-2")]);
    assert_eq!((one.key, one.refused, one.owner.as_str(), one.at), (Some(Which::New), false, "team", Time(T0 + 10)));
    assert_eq!((two.key, two.refused), (None, true), "attributed to a key that is neither");
    assert_eq!(table.rows, 4);
}

#[test]
fn every_writer_is_listed_and_a_silent_one_stops_the_watermark() {
    let log = Log::new();
    log.append("r-0.jsonl", &row(10, "\"old\"", "", 200, ""));
    log.append("r-1.jsonl", "");
    let mut settings = Settings::new(vec![log.path("r-*.jsonl").display().to_string()], Mapping::sandbox());
    settings.lag = Span(4);
    let mut reader = log.reader_of(settings.clone());
    let table = log.read(&mut reader);
    assert_eq!((table.shards.len(), table.watermark()), (2, None));
    log.append("r-1.jsonl", &row(30, "null", "", 200, ""));
    assert_eq!(log.read(&mut reader).watermark(), Some(Time(T0 + 6)));
    settings.shards = Some(3);
    assert_eq!(log.read(&mut log.reader_of(settings)).watermark(), None, "three writers were promised");
    assert_eq!(log.read(&mut log.reader("gone.jsonl")).shards.len(), 1);
    assert_eq!(log.reader("gone.jsonl").describe().reaches, None);
}

#[test]
fn rotation_by_renaming_counts_each_row_once() {
    let log = Log::new();
    let mut reader = log.reader("a.jsonl");
    log.append("a.jsonl", &row(10, "\"old\"", "web", 200, ""));
    assert_eq!(log.read(&mut reader).rows, 1);
    log.append("a.jsonl", &row(11, "\"old\"", "web", 200, ""));
    fs::rename(log.path("a.jsonl"), log.path("a.jsonl.1")).unwrap();
    log.append("a.jsonl", &row(12, "\"old\"", "web", 200, ""));
    let table = log.read(&mut reader);
    assert_eq!((table.rows, table.shards.len()), (3, 1));
    assert_eq!(log.read(&mut log.reader("a.jsonl")).rows, 3, "a later process sees the same");
    fs::remove_file(log.path("a.jsonl.1")).unwrap();
    assert_eq!(log.read(&mut reader).rows, 3, "what was read stays known");
}

#[test]
fn a_cut_or_rewritten_file_is_read_again() {
    let log = Log::new();
    let mut reader = log.reader("a.jsonl");
    log.append("a.jsonl", &row(10, "\"old\"", "web", 200, "").repeat(3));
    assert_eq!(log.read(&mut reader).rows, 3);
    fs::copy(log.path("a.jsonl"), log.path("a.jsonl.1")).unwrap();
    cut(&log.path("a.jsonl"), &row(20, "\"old\"", "web", 200, ""));
    assert_eq!(log.read(&mut reader).rows, 4);
    cut(&log.path("a.jsonl"), &row(99, "\"old\"", "other", 200, "").repeat(2));
    assert_eq!(of(&log.read(&mut reader), Which::Old, "other").accepted, 2);
}

fn cut(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_row_from_the_future_cannot_be_placed() {
    let log = Log::new();
    log.append("a.jsonl", &row(10, "\"new\"", "web", 200, ""));
    log.append("a.jsonl", &row(100_000 + 259_200_000, "\"old\"", "web", 200, ""));
    let table = log.read(&mut log.reader("a.jsonl"));
    assert_eq!((table.malformed, table.watermark()), (1, Some(Time(T0 + 10))));
}

#[test]
fn mapped_fields_may_lie_deep_and_a_line_may_name_its_writer() {
    let log = Log::new();
    let mut mapping = Mapping::generic();
    mapping.key = Field::new("/meta/key/id");
    mapping.status = Field::new("/response/status");
    mapping.shard = Some(Field::new("pod"));
    log.append(
        "a.log",
        &format!("{{\"meta\":{{\"key\":{{\"id\":7}}}},\"response\":{{\"status\":\"200\"}},\"time\":{}.5,\"pod\":\"p1\"}}\n", T0 / 1000),
    );
    log.append("a.log", &format!("{{\"meta\":null,\"response\":3,\"time\":{},\"pod\":\"p2\"}}\n", T0 * 1_000));
    let mut reader = log.reader_of(Settings::new(vec![log.path("a.log").display().to_string()], mapping));
    reader.refresh().unwrap();
    let (seven, own) = (KeyId::new("7"), BTreeMap::new());
    let table = reader.table(&UsageQuery { old: &seven, new: None, from: Time(T0), to: Time(T0 + 1_000), own: &own });
    assert_eq!((of(&table, Which::Old, "").accepted, table.rows), (1, 2));
    assert_eq!(table.shards.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["p1", "p2"]);
}

#[test]
fn a_line_without_an_end_is_skipped_once_and_never_kept() {
    let log = Log::new();
    let mut reader = log.reader("a.jsonl");
    log.append("a.jsonl", &"x".repeat(3 << 20));
    assert_eq!(log.read(&mut reader).malformed, 1);
    log.append("a.jsonl", &format!("yyy\n{}", row(10, "\"old\"", "web", 200, "")));
    let table = log.read(&mut reader);
    assert_eq!((table.rows, table.malformed), (1, 1));
}

#[test]
fn a_star_in_a_folder_is_refused() {
    let settings = Settings::new(vec!["/var/*/a.jsonl".into()], Mapping::generic());
    assert!(JsonlReader::new(settings).err().unwrap().to_string().contains("file name only"));
}

#[test]
fn callers_are_cleaned() {
    let log = Log::new();
    log.append("a.jsonl", &row(10, "\"old\"", "we\\u001b[31mb\\n", 200, ""));
    let table = log.read(&mut log.reader("a.jsonl"));
    assert!(table.old.keys().all(|app| !app.as_str().contains(['\u{1b}', '\n'])));
}
