//! What may be written on the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Rotates AI-gateway keys without an outage, and proves it.
#[derive(Debug, Parser)]
#[command(name = "keyroll", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 2 usage or policy, 10 parked (time or evidence), 11 parked (a person), 12 unreachable, 20 gate failed, \
21 rolled back, 22 stuck, 30 held by another run, 31 stale plan, 40 refused, 50 evidence invalid, 51 leak, 1 internal."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// How to print: text for people, json for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Never use colour.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Say only what was asked for.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Stop waiting after this long, and park.
    #[arg(long, global = true, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Where runs, claims, and journals live: a folder, or s3://BUCKET/PREFIX; a policy's `state:` or `.keyroll` when absent.
    #[arg(long, global = true, env = "KEYROLL_STATE", value_name = "DIR|URL")]
    pub state: Option<PathBuf>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a first policy, or complete one from a template.
    Init(Init),
    /// Check a policy: every problem at its line, with what to do.
    Lint(Lint),
    /// Print the JSON Schema of a policy, for editors.
    Schema,
    /// Show what a rotation would do; changes nothing.
    Plan(PlanArgs),
    /// Rotate.
    Run(RunArgs),
    /// Go on with a run that was parked, killed, or stopped.
    Resume(Resume),
    /// Go on with every parked run that is due, once; what cron and CI call.
    Tick(Tick),
    /// What runs there are and what each waits for.
    Status(Which),
    /// Follow a run until it changes no more.
    Watch(Which),
    /// Why a run stands where it stands, in words.
    Why(Which),
    /// Agree to the step that a run asks about.
    Approve(Approve),
    /// Disagree with it.
    Reject(Approve),
    /// Go back to the old key, in the safe order.
    Rollback(Rollback),
    /// Accept by name what differs, or waive one check.
    Amend(Amend),
    /// A run as a report in Markdown.
    Report(Which),
    /// Show, export, or verify evidence.
    Evidence(Evidence),
    /// Look at everything a rotation of this policy will need, and name what is in its way; changes nothing.
    Doctor(PolicyOnly),
    /// The population of keys: what the gateway has, by age and owner.
    Keys(PolicyOnly),
    /// Keys and pending versions that no finished run accounts for.
    Orphans(PolicyOnly),
    /// Stop all rotations at their next safe point.
    Freeze(Freeze),
    /// Remove a claim, for a reason that becomes evidence.
    Unlock(Unlock),
    /// Rotate against every fault of the sandbox and show what blocked it.
    Drill(Drill),
    /// Serve the sandbox gateway.
    Sandbox(Sandbox),
    /// Print a completion script.
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

impl Verb {
    /// What a person wrote in own words; it becomes evidence.
    pub(crate) fn remarks(&self) -> Vec<&str> {
        match self {
            Self::Run(a) => a.reason.as_deref().into_iter().collect(),
            Self::Resume(a) => a.reason.as_deref().into_iter().collect(),
            Self::Approve(a) | Self::Reject(a) => std::iter::once(a.reason.as_str()).chain(a.by.as_deref()).collect(),
            Self::Rollback(a) => vec![&a.reason],
            Self::Amend(a) => vec![&a.reason],
            Self::Freeze(a) => a.reason.as_deref().into_iter().collect(),
            Self::Unlock(a) => vec![&a.reason],
            _ => Vec::new(),
        }
    }
}

/// `init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Complete this policy: keep what it says, add the missing blocks.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Write here instead of to standard output; never overwrites.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Start from a policy for a LiteLLM proxy instead of the sandbox.
    #[arg(long)]
    pub litellm: bool,
}

/// A policy and its environment.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyOnly {
    /// The policy.
    pub policy: PathBuf,
    /// Use the addresses of this environment.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
}

/// `lint`
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The policies.
    #[arg(required = true)]
    pub policies: Vec<PathBuf>,
    /// Use the addresses of this environment.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Print SARIF 2.1.0 for code scanning.
    #[arg(long)]
    pub sarif: bool,
}

/// `plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub policy: PolicyOnly,
    /// Write the plan here, for `run --plan`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Plan on a saved inventory: contacts nothing.
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Save what was read.
    #[arg(long, value_name = "FILE")]
    pub save_inventory: Option<PathBuf>,
}

/// `run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The policy.
    #[arg(required_unless_present = "plan")]
    pub policy: Option<PathBuf>,
    /// Use the addresses of this environment.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Run this very plan; refused when the world has changed since.
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub plan: Option<PathBuf>,
    /// Enter emergency mode: shorter, with skipped gates on record.
    #[arg(long, requires = "reason")]
    pub emergency: bool,
    /// Why.
    #[arg(long)]
    pub reason: Option<String>,
    /// Keep state on this machine although nobody can be asked.
    #[arg(long)]
    pub accept_local_state: bool,
    #[command(flatten)]
    pub how: How,
}

/// How patient, and how far.
#[derive(Debug, Clone, Args)]
pub(crate) struct How {
    /// Wait in this process instead of parking.
    #[arg(long)]
    pub wait: bool,
    /// Stop and park when this phase is complete.
    #[arg(long, value_name = "PHASE")]
    pub until: Option<String>,
    /// Show each effect and ask before it.
    #[arg(long)]
    pub step: bool,
    /// Write the bundle here instead of into the run's folder.
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
}

/// `resume`
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run; the only open one when absent.
    pub run: Option<String>,
    /// Enter emergency mode.
    #[arg(long, requires = "reason")]
    pub emergency: bool,
    /// Why.
    #[arg(long)]
    pub reason: Option<String>,
    #[command(flatten)]
    pub how: How,
}

/// `tick`
#[derive(Debug, Args)]
pub(crate) struct Tick {
    /// The run; every due one with --all.
    pub run: Option<String>,
    /// Every run that is due.
    #[arg(long)]
    pub all: bool,
}

/// A run.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// The run, or the beginning of its id; all or the only one when absent.
    pub run: Option<String>,
}

/// `approve`, `reject`
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The run.
    pub run: Option<String>,
    /// A remark, or why not.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Who says so; the operating system's user when absent.
    #[arg(long)]
    pub by: Option<String>,
}

/// `rollback`
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The run.
    pub run: Option<String>,
    /// Why.
    #[arg(long, default_value = "asked for")]
    pub reason: String,
    #[command(flatten)]
    pub how: How,
}

/// `amend`
#[derive(Debug, Args)]
pub(crate) struct Amend {
    /// The run.
    pub run: Option<String>,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Waive this check instead: POINT/CHECK, as `status` shows it.
    #[arg(long, value_name = "POINT/CHECK")]
    pub waive: Option<String>,
    /// Let this consumer stay on the old key instead.
    #[arg(long, value_name = "APP", conflicts_with = "waive")]
    pub except: Option<String>,
    /// How long a waiver or exception lasts.
    #[arg(long, default_value = "7d", value_name = "DURATION")]
    pub lasts: String,
}

/// `evidence`
#[derive(Debug, Args)]
pub(crate) struct Evidence {
    #[command(subcommand)]
    pub what: EvidenceVerb,
}

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceVerb {
    /// Where a run's bundle is and what is in it.
    Show(Which),
    /// Copy a run's bundle.
    Export {
        /// The run.
        run: String,
        /// Where to.
        to: PathBuf,
    },
    /// Check a bundle: changed, added, and missing files, and the journal's chain.
    Verify {
        /// The bundle's folder.
        bundle: PathBuf,
    },
}

/// `freeze`
#[derive(Debug, Args)]
pub(crate) struct Freeze {
    /// Why.
    #[arg(long, required_unless_present = "lift")]
    pub reason: Option<String>,
    /// End the freeze.
    #[arg(long)]
    pub lift: bool,
}

/// `unlock`
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// The run.
    pub run: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// `drill`
#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Only these faults.
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Also run each fault with the check meant for it removed.
    #[arg(long)]
    pub without: bool,
}

/// `sandbox`
#[derive(Debug, Args)]
pub(crate) struct Sandbox {
    #[command(subcommand)]
    pub what: SandboxVerb,
}

/// What to do with the sandbox.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxVerb {
    /// Serve until stopped; prints one line of JSON with the addresses.
    Serve(SandboxServe),
}

/// `sandbox serve`
#[derive(Debug, Args)]
pub(crate) struct SandboxServe {
    /// Where its files live.
    #[arg(long)]
    pub dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// How many replicas.
    #[arg(long, default_value_t = 3)]
    pub replicas: usize,
    /// Serve without consumers.
    #[arg(long)]
    pub no_consumers: bool,
    /// How often consumers call, as a factor.
    #[arg(long, default_value_t = 1.0)]
    pub rate: f64,
    /// Switch this fault on: NAME or NAME=JSON.
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// The caller of a mint chooses the value.
    #[arg(long)]
    pub caller_chosen: bool,
}
