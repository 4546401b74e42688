//! The table of levels and the other lists, as data.

/// What a module may use of another one.
#[derive(Clone, Copy)]
pub enum May {
    /// Everything public.
    All(&'static str),
    /// These names and nothing else.
    Only(&'static str, &'static [&'static str]),
}

/// One module of `src/` and what it may import. Outside crates are not listed here; `deny.toml` judges them.
pub struct Place {
    pub module: &'static str,
    pub level: u8,
    pub may: &'static [May],
}

use May::{All, Only};

/// What a fingerprint is made of and compared with; none of it holds a secret.
const FINGERPRINT: May = Only("secret", &["Fingerprint", "sha256_hex"]);
/// Switches for deliberate mistakes; absent unless the feature `bugs` is on.
const BUGS: May = All("bugs");
const SECRET: May = All("secret");
const SUPPORT: May = All("support");
const ROTATION: May = All("rotation");
const GATE: May = All("gate");
const PORTS: May = All("ports");
const POLICY: May = All("policy");

/// In reading order. Deviations from a plain table of levels are explained in `runbooks/decisions/001-import-table.md`.
pub const PLACES: &[Place] = &[
    Place { module: "bugs", level: 0, may: &[] },
    Place { module: "secret", level: 0, may: &[BUGS] },
    Place { module: "support", level: 0, may: &[SECRET] },
    Place { module: "rotation", level: 1, may: &[BUGS, FINGERPRINT] },
    Place { module: "gate", level: 1, may: &[BUGS, FINGERPRINT, ROTATION] },
    Place { module: "ports", level: 2, may: &[SECRET, SUPPORT, ROTATION, GATE] },
    Place { module: "policy", level: 2, may: &[SECRET, SUPPORT, ROTATION, GATE] },
    Place { module: "plan", level: 3, may: &[BUGS, SECRET, SUPPORT, ROTATION, GATE, PORTS, POLICY] },
    // Nothing after the plan knows the policy.
    Place { module: "journal", level: 3, may: &[BUGS, SECRET, SUPPORT, ROTATION, GATE, PORTS] },
    Place {
        module: "evidence",
        level: 3,
        may: &[
            BUGS,
            SECRET,
            SUPPORT,
            ROTATION,
            GATE,
            PORTS,
            Only("journal", &["Chain", "Line", "Parsed", "ROOT", "FORMAT", "JournalError"]),
        ],
    },
    Place { module: "usage", level: 3, may: &[BUGS, SECRET, SUPPORT, ROTATION, GATE, PORTS] },
    Place { module: "adapters", level: 3, may: &[BUGS, SECRET, SUPPORT, ROTATION, GATE, PORTS, POLICY, All("usage")] },
    Place { module: "engine", level: 4, may: &[BUGS, SECRET, SUPPORT, ROTATION, GATE, PORTS] },
    Place { module: "sandbox", level: 5, may: EVERYTHING },
    Place { module: "cli", level: 5, may: EVERYTHING },
];

/// Nobody imports `cli`, so it is not here.
const EVERYTHING: &[May] = &[
    BUGS,
    SECRET,
    SUPPORT,
    ROTATION,
    GATE,
    PORTS,
    POLICY,
    All("plan"),
    All("journal"),
    All("evidence"),
    All("usage"),
    All("adapters"),
    All("engine"),
    All("sandbox"),
];

/// Modules that are functions of their arguments, and the words that would make them something else.
pub const PURE: &[(&str, &[&str])] = &[
    ("rotation", WORLD),
    ("gate", WORLD),
    ("plan", WORLD),
    // The engine acts through ports alone: a simulator polls it without a runtime and without a clock.
    (
        "engine",
        &[
            "tokio",
            "reqwest",
            "SystemTime",
            "Instant",
            "Utc::now",
            "Local::now",
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
        ],
    ),
];

const WORLD: &[&str] = &[
    "tokio",
    "reqwest",
    "SystemTime",
    "Instant",
    "Utc::now",
    "Local::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "async fn",
    "getrandom",
];

/// Where a clock may be read, or a thread put to sleep, with the reason.
pub const CLOCKS: &[(&str, &str)] = &[
    ("src/support/clock.rs", "the machine's clocks, wrapped once"),
    ("src/support/child.rs", "time-outs of children"),
    ("src/support/process.rs", "the bounded wait for a process group to be gone"),
    ("src/support/http.rs", "time-outs of calls"),
    ("src/journal/shared.rs", "bounded pauses between tries of one write"),
    ("src/journal/fs.rs", "bounded tries for a lock that another process holds for a moment"),
    ("src/adapters/secrets/file/lock.rs", "bounded tries for a lock that another process holds for a moment"),
    ("src/cli/", "wires the clock, sleeps while it follows a run"),
    ("src/sandbox/", "is a world of its own"),
];

/// What counts as reading a clock.
pub const CLOCK_WORDS: &[&str] = &["SystemTime::now", "Instant::now", "Utc::now", "Local::now", "tokio::time", "thread::sleep"];

/// Where another program may be started: with an empty environment, a group of its own, and bounded output.
pub const CHILDREN: &[(&str, &str)] = &[("src/support/", "the one way to start a child, and to ask whether one still lives")];

/// Where an HTTP client may be built. Elsewhere it would follow redirects with a credential, and repeat calls that made something.
pub const CLIENTS: &[(&str, &str)] = &[
    ("src/support/http.rs", "no redirects, no repeats, bounded bodies"),
    ("src/adapters/secrets/kubernetes/cluster.rs", "the library's client knows kubeconfigs; its repeats are off, and it follows nothing"),
    ("src/sandbox/", "its consumers are programs of their own"),
    ("src/cli/wire/witness.rs", "stops the consumers of the embedded gateway; sends no credential"),
];

/// Who may name the practice gateway: it is for learning and for faults, never a special case of the machine.
pub const PRACTICE: &[(&str, &str)] = &[
    ("src/sandbox/", "is it"),
    ("src/lib.rs", "the map names every module"),
    ("src/adapters/gateway/sandbox.rs", "its adapter"),
    ("src/adapters/gateway/sandbox/", "its adapter"),
    ("src/adapters/gateway/mod.rs", "one variant among the gateways"),
    ("src/usage/mapping.rs", "one known log format among others"),
    ("src/policy/model/gateway.rs", "one variant of `gateway:`"),
    ("src/policy/check/places.rs", "the addresses of that variant"),
    ("src/policy/skeleton.rs", "a first policy that needs nothing installed"),
    ("src/cli/", "wires it and serves it"),
];

/// Types whose matches name every case, so that a new case cannot be forgotten.
pub const CLOSED: &[&str] =
    &["Phase::", "Effect::", "EffectKind::", "Outcome::", "Step::", "Wait::", "End::", "Verdict::", "OldKey::", "Course::"];

/// Folders in which no match at all has a wildcard arm.
pub const NO_WILDCARD: &[&str] = &["src/rotation/next/", "src/engine/"];

/// The longest file.
pub const MOST_LINES: usize = 500;

/// Longer files, each with the reason and the length it may not exceed. An entry that is no longer needed fails.
pub const LONG_FILES: &[(&str, usize, &str)] = &[];
