//! What people say to a run: approve, reject, roll back, amend.

use crate::cli::args::{Amend, Approve, Global, How, Rollback};
use crate::cli::clock;
use crate::cli::commands::resume;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::{Out, Tone};
use crate::cli::session::{self, Say};
use crate::cli::status::point_of;
use crate::journal::{Inbox, Message, Reply, StateDir};
use crate::rotation::{App, Exception, Inventory, Plan, Proof, Record};

/// `approve` and `reject`: an answer to exactly the question that is open.
pub(crate) fn answer(args: &Approve, yes: bool, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = session::which(&state, args.run.as_deref())?;
    let (run, _) = session::peek(&state, &id)?;
    let Some(asked) = run.asked.clone() else {
        return Err(Fault::usage(format!("answer run {id}: it asks nothing now")).hint(format!("keyroll why {id}")));
    };
    let by = args.by.clone().unwrap_or_else(session::user);
    if let (Some(rule), Some(requester)) = (run.plan.approval(asked.phase), &run.plan.about.requester)
        && rule.not_requester
        && yes
        && *requester == by
    {
        return Err(Fault::usage(format!("approve run {id}: {by} asked for this rotation, and somebody else must approve it")));
    }
    if yes && out.terminal {
        out.say(&format!(
            "  {} agrees that {} is disabled and then deleted ({}, attempt {})",
            by, run.plan.old.id, asked.phase, asked.attempt
        ));
        out.say(&format!("  {}", out.paint(Tone::Warn, "the deletion is the point of no return")));
        let sure = dialoguer::Confirm::new().with_prompt("  agree").default(false).interact().unwrap_or(false);
        if !sure {
            return Err(Fault::usage("approve: nothing was said"));
        }
    }
    let reply = Reply {
        phase: asked.phase,
        attempt: asked.attempt,
        head: asked.head,
        by: by.clone(),
        yes,
        why: args.reason.clone(),
        proof: Proof::Asserted,
    };
    Inbox::of(&state, &id)?.put(&Message::Answer(reply), clock::wall())?;
    let said = if yes { "approved" } else { "rejected" };
    if out.json {
        out.value(&serde_json::json!({ "v": 1, "run": id, "said": said, "by": by, "proof": "asserted" }));
    } else {
        out.say(&format!("{said} by {by} (asserted by the operating system); next: keyroll resume {id}"));
    }
    Ok(0)
}

/// `rollback`: at once when nobody executes the run, else by a message to the process that does.
pub(crate) fn rollback(args: &Rollback, global: &Global, out: &Out) -> Result<u8, Fault> {
    let state = StateDir::open(session::state_path(global, None)?)?;
    let id = session::which(&state, args.run.as_deref())?;
    let (run, records) = session::peek(&state, &id)?;
    if matches!(records.last(), Some(Record::Finished { .. })) {
        return Err(Fault::usage(format!("roll back run {id}: it is over")).hint("a new rotation replaces the key again"));
    }
    if !run.can_go_back() {
        return Err(Fault::new(exit::FOUND, format!("roll back run {id}: there is no way back, the old key is {}", old_words(&run)))
            .hint("a new rotation is the way forward"));
    }
    if crate::journal::Lease::holder(&state, &id).is_some() {
        Inbox::of(&state, &id)?.put(&Message::Turn { by: session::user(), why: args.reason.clone() }, clock::wall())?;
        out.say(&format!("asked the process that executes run {id} to turn back; keyroll watch {id}"));
        return Ok(0);
    }
    if run.plan.about.reason_kind.old_is_tainted() && run.was_flipped() && out.terminal {
        out.say(&format!(
            "  {} this rotation's reason is `{}`: going back means using that key again",
            out.paint(Tone::Bad, "!"),
            run.plan.about.reason
        ));
        if !dialoguer::Confirm::new().with_prompt("  go back to it").default(false).interact().unwrap_or(false) {
            return Err(Fault::usage("roll back: nothing was done"));
        }
    }
    drop(state);
    resume::with(Some(id.as_str()), Say::Turn(args.reason.clone()), &args.how, global, out)
}

fn old_words(run: &crate::rotation::Run) -> &'static str {
    match run.old {
        crate::rotation::OldKey::Enabled => "enabled",
        crate::rotation::OldKey::DisabledByUs => "disabled by this run",
        crate::rotation::OldKey::OffByOthers => "switched off by somebody else",
        crate::rotation::OldKey::DeleteIntended => "being deleted",
        crate::rotation::OldKey::Gone => "deleted",
    }
}

/// `amend`: accept what differs, waive a check, or except a consumer.
pub(crate) fn amend(args: &Amend, global: &Global, out: &Out) -> Result<u8, Fault> {
    let lasts = session::span(&args.lasts)?;
    let say = match (&args.waive, &args.except) {
        (Some(waive), _) => {
            let (point, check) =
                waive.rsplit_once('/').ok_or_else(|| Fault::usage("waive a check: write POINT/CHECK, as `keyroll status` shows it"))?;
            let point = point_of(point).ok_or_else(|| Fault::usage(format!("waive a check: there is no point `{point}`")))?;
            Say::Waive(point, check.to_owned(), args.reason.clone(), lasts)
        }
        (None, Some(app)) => Say::Except(Exception {
            app: App::new(app.as_str()),
            until: clock::wall().plus(lasts),
            owner: session::user(),
            why: args.reason.clone(),
        }),
        (None, None) => Say::Amend(args.reason.clone()),
    };
    let how = How { wait: false, until: None, step: false, bundle: None };
    resume::with(args.run.as_deref(), say, &how, global, out)
}

/// Before an emergency acts: who will break.
pub(crate) fn warn_emergency(plan: &Plan, inventory: &Inventory, reason: &str, out: &Out) -> Result<(), Fault> {
    let breaks = super::run::lately(plan, inventory);
    out.shout(&format!("{} {reason}", out.paint(Tone::Bad, "emergency:")));
    if breaks.is_empty() {
        out.shout("  nobody was seen on the old key in the last 24 h");
    } else {
        out.shout(&format!("  seen on the old key in the last 24 h, and refused if they do not follow in time: {}", breaks.join(", ")));
    }
    let skipped: Vec<&str> = plan
        .gates
        .iter()
        .flat_map(|g| &g.checks)
        .filter(|c| c.skippable)
        .map(|c| c.id.as_str())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    out.shout(&format!("  these checks are left out, on record: {}", skipped.join(", ")));
    if out.terminal && !dialoguer::Confirm::new().with_prompt("  go on").default(false).interact().unwrap_or(false) {
        return Err(Fault::usage("enter emergency mode: nothing was done"));
    }
    Ok(())
}
