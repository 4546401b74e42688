//! `report.md`: a page that explains a run to somebody who was not there.

mod sections;

use super::files::Facts;
use super::lines::Entry;
use super::payload::TOOL_VERSION;
use super::text::{cell_code, md};
use super::{story, summary};
use crate::rotation::{Run, Span};

/// The report of a run, in Markdown.
pub fn report(run: &Run, entries: &[Entry]) -> String {
    let line = super::timeline::Timeline::of(entries);
    of(&Facts::of(run, entries, &line))
}

/// The report from facts that are sorted already.
pub(super) fn of(facts: &Facts<'_>) -> String {
    let mut out = String::new();
    first_page(facts, &mut out);
    sections::phases(facts, &mut out);
    sections::gates(facts, &mut out);
    sections::effects(facts, &mut out);
    sections::negative(facts, &mut out);
    sections::consumers(facts, &mut out);
    sections::gaps(facts, &mut out);
    sections::repeat(facts, &mut out);
    sections::glossary(&mut out);
    out
}

/// What, who, when, why, result, exceptions.
fn first_page(facts: &Facts<'_>, out: &mut String) {
    let (run, line) = (facts.run, facts.line);
    let about = &run.plan.about;
    let result = story::result(run);
    push(out, &format!("# Key rotation: {} ({})\n", md(&about.credential), md(&about.environment)));
    push(out, &format!("**{}.** {}\n", result.word, md(&result.sentence)));
    push(out, "| | |\n|---|---|");
    let mut row = |name: &str, text: String| push(out, &format!("| {name} | {text} |"));
    let new = facts.negative_new_id.as_deref().map_or_else(|| "no new key".to_owned(), cell_code);
    row(
        "What",
        format!(
            "old key {} → new key {new}, at gateway {} ({})",
            cell_code(run.plan.old.id.as_str()),
            md(&run.plan.gateway.identity.tenant),
            md(&run.plan.gateway.driver)
        ),
    );
    row(
        "Why",
        format!("{}{}", md(&about.reason), about.ticket.as_ref().map(|t| format!(" (ticket {})", cell_code(t))).unwrap_or_default()),
    );
    row("When", format!("{} to {} (UTC), {}", line.first.rfc3339(), line.last.rfc3339(), Span(line.last.since(line.first).0)));
    row("Who", who(facts));
    row("Old key now", md(summary::old_words(run.old)));
    row("New key now", md(&new_now(facts)));
    row("Negative test", format!("**{}** – {}", facts.negative.end_state.name(), md(&facts.negative.words)));
    row("Exceptions", exceptions(facts));
    row("Run, plan", format!("{}, {}", cell_code(run.id.as_str()), cell_code(run.plan_id.as_str())));
    push(out, "");
    push(out, &format!("{}\n", md(&story::drain(run, line))));
    push(out, &format!("{}\n", md(&story::refused(run, line))));
}

fn who(facts: &Facts<'_>) -> String {
    let about = &facts.run.plan.about;
    let mut parts = vec![format!("owner {}", md(&about.owner))];
    parts.push(about.requester.as_ref().map_or_else(|| "requester not named".to_owned(), |r| format!("requested by {} (asserted)", md(r))));
    let holders: Vec<String> = facts.line.holders.iter().map(|h| format!("{} on {}", md(&h.user), md(&h.host))).collect();
    if !holders.is_empty() {
        parts.push(format!("executed by {}", holders.join(", ")));
    }
    let answers = facts.approvals.answers.iter().map(|a| {
        let how = if a.signed { "signed" } else { "asserted" };
        format!("{} {} by {} ({how})", if a.yes { "approved" } else { "rejected" }, a.phase, md(&a.by))
    });
    parts.extend(answers);
    if facts.approvals.answers.is_empty() {
        parts.push("nobody was asked to approve".into());
    }
    parts.join("; ")
}

fn new_now(facts: &Facts<'_>) -> String {
    match (&facts.run.new, &facts.negative_new_id) {
        (Some(new), _) if new.enabled => "accepted".into(),
        (Some(_), _) => "disabled".into(),
        (None, Some(_)) => "removed".into(),
        (None, None) => "was not made".into(),
    }
}

fn exceptions(facts: &Facts<'_>) -> String {
    let e = &facts.exceptions;
    let mut parts = Vec::new();
    if let Some(emergency) = &e.emergency {
        parts.push(format!("emergency mode, {}: {}", md(&emergency.by), md(&emergency.why)));
    }
    for w in &e.waivers {
        let (check, point, why) = (cell_code(&w.check), w.point, md(&w.why));
        parts.push(format!("{check} at {point} WAIVED by {} until {}: {why}", md(&w.by), w.until.rfc3339()));
    }
    for s in &e.consumers {
        parts.push(format!(
            "{} may stay on the old key until {}: {}",
            md(s.exception.app.as_str()),
            s.exception.until.rfc3339(),
            md(&s.exception.why)
        ));
    }
    for a in &e.amended {
        parts.push(format!("{} accepted that {}", md(&a.by), md(&a.accepts.join("; "))));
    }
    if parts.is_empty() { "none".into() } else { parts.join("; ") }
}

/// The last line of every report.
pub(super) fn footer() -> String {
    format!("Written by keyroll {TOOL_VERSION} from journal.jsonl; the same journal gives the same report.")
}

/// A line and its end.
pub(super) fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}
