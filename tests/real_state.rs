//! State that machines share, on a real object store: two of them, killed and put to sleep at random, never execute one run at once, and
//! whoever is left finishes it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, unreachable_pub, reason = "a test may")]

#[path = "state/bucket.rs"]
mod bucket;
mod common;
#[path = "state/machine.rs"]
mod machine;
mod servers;

use bucket::Bucket;
use common::Place;
use machine::{Machine, Random, sessions};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the machines are disturbed, and how long it may take until one of them is done.
const DISTURBED: Duration = Duration::from_secs(14);
const LONGEST: Duration = Duration::from_secs(100);

/// The lines of the only run that began, in order, as the bucket has them.
fn lines(bucket: &Bucket) -> Vec<Value> {
    let keys = bucket.keys();
    let runs: std::collections::BTreeSet<&str> =
        keys.iter().filter(|k| k.contains("/lines/")).filter_map(|k| k.split("/runs/").nth(1)?.split('/').next()).collect();
    assert_eq!(runs.len(), 1, "two runs began: {runs:?}");
    let mut keys: Vec<&String> = keys.iter().filter(|k| k.contains("/lines/")).collect();
    keys.sort();
    keys.iter().map(|key| serde_json::from_str(&bucket.text(key)).unwrap()).collect()
}

fn prepared() -> (Place, tempfile::TempDir, Bucket) {
    let (place, dir) = (Place::new(), tempfile::tempdir().unwrap());
    let bucket = Bucket::new(dir.path());
    let policy = std::fs::read_to_string(place.policy())
        .unwrap()
        .replace("send_before: 5s", "send_before: 1s")
        .replace("call_timeout: 3s", "call_timeout: 1s");
    std::fs::write(place.policy(), policy + "evidence_out: { fingerprint_key: { env: FINGERPRINT_KEY } }\n").unwrap();
    (place, dir, bucket)
}

#[test]
fn two_machines_never_execute_one_run_at_once_and_one_finishes_it() {
    disturbed(std::env::var("KEYROLL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(std::process::id())));
}

#[cfg(feature = "slow")]
#[test]
fn the_same_for_many_disturbances() {
    (1..=12).for_each(disturbed);
}

/// One rotation by two machines, with the disturbances of this seed.
fn disturbed(seed: u64) {
    let (place, dir, bucket) = prepared();
    println!("KEYROLL_SEED={seed}");
    let mut random = Random(seed);
    let before = place.slot();
    let mut machines = [Machine::new("one", dir.path(), &place, &bucket), Machine::new("two", dir.path(), &place, &bucket)];
    let began = Instant::now();
    let mut next = began + Duration::from_millis(1500);
    while !machines.iter().any(|m| m.done) {
        assert!(began.elapsed() < LONGEST, "not within {LONGEST:?}: {:?}", machines.iter().map(Machine::story).collect::<Vec<_>>());
        for machine in &mut machines {
            machine.look();
        }
        if began.elapsed() < DISTURBED && Instant::now() >= next {
            let which = usize::from(random.below(2) == 1);
            match random.below(3) {
                0 => machines[which].kill(),
                // Longer than the lease: the other one takes over, and this one wakes up with work half done.
                _ => machines[which].sleep(Duration::from_millis(500 + random.below(4500))),
            }
            next = Instant::now() + Duration::from_millis(300 + random.below(1800));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for machine in &mut machines {
        machine.finish();
    }
    let lines = lines(&bucket);
    let records: Vec<&Value> = lines.iter().map(|l| &l["record"]).collect();
    assert_eq!(records.last().unwrap()["finished"]["end"], "done", "{:?}", records.last());
    // What each process says it wrote is one piece of the journal, from its own opening on, with nobody else's line in it.
    let sessions = sessions(&records);
    let mut writers: BTreeMap<u64, usize> = BTreeMap::new();
    for (machine, process, said) in machines.iter().flat_map(Machine::said) {
        let Some(first) = said.first() else { continue };
        let Some(at) = sessions.iter().position(|s| s.first().is_some_and(|f| *f == first)) else {
            // The very first record is written before the session opens; a process that was refused says nothing.
            assert!(first.get("planned").is_some(), "{machine} {process} says it wrote what nobody finds: {first}");
            continue;
        };
        let session = &sessions[at];
        assert!(
            said.len() <= session.len() && said.iter().zip(session).all(|(a, b)| *a == **b),
            "{machine} {process} wrote between others' lines"
        );
        assert!(writers.insert(u64::try_from(at).unwrap(), said.len()).is_none(), "two processes claim one session");
    }
    let takeovers = records.iter().filter(|r| r["opened"]["taken_over"] == true).count();
    println!(
        "{} lines, {} sessions, {takeovers} taken over; {:?}",
        lines.len(),
        sessions.len(),
        machines.iter().map(Machine::story).collect::<Vec<_>>()
    );
    // The gateway's own view: nothing was minted twice, nothing is left, nobody was refused.
    let minted = records.iter().filter(|r| r["ended"]["outcome"]["done"].get("minted").is_some()).count();
    let discarded = records.iter().filter(|r| r["began"]["effect"].get("discard").is_some()).count();
    assert!(minted >= 1 && minted <= 1 + discarded, "{minted} minted, {discarded} discarded");
    assert_ne!(place.slot(), before);
    assert_eq!(place.refused(), Vec::<String>::new());
    let orphans = machines[0].keyroll(&["--output", "json", "orphans", place.policy().to_str().unwrap()]);
    orphans.ends(0);
    assert_eq!(serde_json::from_str::<Value>(&orphans.out).unwrap()["orphans"], serde_json::json!([]));
    // The evidence is where every machine finds it, whoever sealed it.
    for machine in &machines {
        let run = records[0]["planned"]["run"].as_str().unwrap();
        let copy = dir.path().join(format!("copy-{}", machine.name));
        machine.keyroll(&["evidence", "export", run, copy.to_str().unwrap()]).ends(0);
        machine.keyroll(&["evidence", "verify", copy.to_str().unwrap()]).ends(0);
    }
    // Every claim was given up, and no secret is in the bucket.
    let secrets = [before, place.slot(), machine::FINGERPRINT_KEY.to_owned()];
    for key in bucket.keys() {
        let text = bucket.text(&key);
        assert!(!key.contains("/claims/") || text.contains("\"free\":true"), "{key}: {text}");
        assert!(secrets.iter().all(|s| !text.contains(s.as_str())), "{key} holds a secret");
    }
}

#[test]
fn without_a_shared_fingerprint_key_or_a_bucket_nothing_begins() {
    let (place, dir, bucket) = prepared();
    let machine = Machine::new("one", dir.path(), &place, &bucket);
    let policy = std::fs::read_to_string(place.policy()).unwrap();
    std::fs::write(place.policy(), policy.replace("evidence_out: { fingerprint_key: { env: FINGERPRINT_KEY } }\n", "")).unwrap();
    let file = place.policy();
    let run = ["run", file.to_str().unwrap()];
    let refused = machine.keyroll(&run);
    refused.ends(40);
    assert!(refused.err.contains("fingerprint key of the organisation"), "{}", refused.err);
    std::fs::write(place.policy(), &policy).unwrap();
    let refused = machine.keyroll_at("s3://no-such-bucket/ci", &run);
    refused.ends(12);
    assert!(refused.err.contains("there is no such bucket"), "{}", refused.err);
    let looked = machine.keyroll_at("s3://no-such-bucket/ci", &["doctor", file.to_str().unwrap()]);
    looked.ends(40);
    assert!(looked.out.contains("there is no such bucket") && looked.out.contains("state s3://no-such-bucket/ci"), "{}", looked.out);
    let looked = machine.keyroll(&["--output", "json", "doctor", file.to_str().unwrap()]);
    looked.ends(0);
    assert!(looked.out.contains("it refuses a second writer"), "{}", looked.out);
    machine.keyroll_at("s3://x", &run).ends(12);
    machine.keyroll_at("gs://bucket/x", &run).ends(40);
    assert_eq!(bucket.keys(), ["ci/probe.json"]);
}
