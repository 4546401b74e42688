//! The tables and lists of a report.

use super::super::files::Facts;
use super::super::gates::{GateFile, Window};
use super::super::text::{cell_code, code, count, md};
use super::super::words::{self, Stage};
use super::super::{phases as phase_files, story};
use super::{footer, push};
use crate::rotation::{Time, Verdict};

fn time(at: Option<Time>) -> String {
    at.map_or_else(|| "–".to_owned(), Time::rfc3339)
}

/// When it was where.
pub(super) fn phases(facts: &Facts<'_>, out: &mut String) {
    push(out, "## Phases\n\n| phase | from (UTC) | to (UTC) | length | left |\n|---|---|---|---|---|");
    for stage in Stage::all() {
        let mut stays = facts.line.stays.iter().filter(|s| s.stage == stage).peekable();
        if stays.peek().is_none() && stage != Stage::WayBack {
            push(out, &format!("| {} | not reached | – | – | – |", stage.name()));
        }
        for stay in stays {
            let to = stay.to.unwrap_or(facts.line.last);
            let left = if stay.left.is_empty() { "at the end of the journal".to_owned() } else { md(&stay.left) };
            push(out, &format!("| {} | {} | {} | {} | {left} |", stage.name(), stay.from.rfc3339(), time(stay.to), to.since(stay.from)));
        }
    }
    let events: Vec<_> = facts.line.events.iter().collect();
    if !events.is_empty() {
        push(out, "\nEvents:\n");
        for event in events {
            push(out, &format!("- {} ({}, record {}): {}", event.at.rfc3339(), event.stage.name(), event.record, md(&event.what)));
        }
    }
    push(out, "");
}

/// Every check that was judged, and those that were not.
pub(super) fn gates(facts: &Facts<'_>, out: &mut String) {
    push(out, "## Gates\n\nOnly *pass* advances. WAIVED and SKIPPED are decisions of people and never mean *pass*.\n");
    push(out, "| phase | gate | check | verdict | looks | why |\n|---|---|---|---|---|---|");
    let mut files: Vec<&GateFile<'_>> = facts.gates.values().collect();
    let order = |f: &GateFile<'_>| Stage::all().position(|s| s.name() == f.phase);
    // Within a phase in the order of the last look: the order in which the run met them.
    files.sort_by_key(|f| (order(f), f.last.at));
    for file in files {
        let verdict = match file.last.verdict {
            Verdict::Pass => "pass".to_owned(),
            Verdict::Fail | Verdict::Inconclusive | Verdict::NoData | Verdict::Error | Verdict::Waived | Verdict::Skipped => {
                format!("**{}**", words::verdict(file.last.verdict))
            }
        };
        let gate = file.consumer.map_or_else(|| file.point.to_owned(), |c| format!("{} {}", file.point, cell_code(c)));
        let why = format!("{} {}", md(&file.asks), md(&file.last.why));
        push(out, &format!("| {} | {gate} | {} | {verdict} | {} | {why} |", file.phase, cell_code(file.check), file.looks));
    }
    let planned: usize = facts.run.plan.gates.iter().map(|g| g.checks.len()).sum();
    let judged = facts.run.plan.gates.iter().flat_map(|g| g.checks.iter().map(move |c| (g.point, &c.id)));
    let judged =
        judged.filter(|(place, id)| facts.line.looks.iter().any(|l| l.point.place() == *place && l.checks.iter().any(|j| j.check == **id)));
    let judged = judged.count();
    push(out, &format!("\n{judged} of {planned} planned checks were judged; phases/*.json names the others.\n"));
}

/// Everything that was done to the outside.
pub(super) fn effects(facts: &Facts<'_>, out: &mut String) {
    push(out, "## Effects\n\nEverything this run did to the outside. The intent was on disk before the call.\n");
    push(out, "| n | what | began (UTC) | ended (UTC) | outcome | known by |\n|---|---|---|---|---|---|");
    for (_, e) in phase_files::effects(facts.run, facts.line) {
        let why = if e.why.is_empty() { String::new() } else { format!(": {}", md(&e.why)) };
        let lost = if e.was_unknown { " (was unknown for a while)" } else { "" };
        let by = e.known_by.unwrap_or("–");
        let open = if e.ended.is_none() { " (no outcome in this journal: it ends here)" } else { "" };
        push(
            out,
            &format!("| {} | {} | {} | {} | {}{why}{lost}{open} | {by} |", e.n, md(&e.what), e.began.rfc3339(), time(e.ended), e.outcome),
        );
    }
    push(out, "");
}

/// What shows that the outgoing key is refused.
pub(super) fn negative(facts: &Facts<'_>, out: &mut String) {
    let test = &facts.negative;
    push(out, "## Negative test\n");
    push(out, &format!("End state of the {} key: **{}**. {}.\n", test.key, test.end_state.name(), md(&test.words)));
    if test.calls.is_empty() && test.positive_control.is_empty() {
        return;
    }
    push(out, "| address | accepted before (positive control) | refused after | other answers after |\n|---|---|---|---|");
    for control in &test.positive_control {
        let here = test.calls.iter().filter(|c| c.endpoint == control.endpoint && c.key == test.key);
        let (refused, other): (Vec<_>, Vec<_>) = here.partition(|c| c.class == crate::rotation::CallClass::Refused);
        let last = refused.iter().map(|c| c.at).max();
        let refused =
            last.map_or_else(|| "never".to_owned(), |at| format!("{}, last {}", count(refused.len(), "time", "times"), at.rfc3339()));
        let before = control.accepted_at.map_or_else(|| "**never seen**".to_owned(), Time::rfc3339);
        push(out, &format!("| {} | {before} | {refused} | {} |", md(&control.endpoint), other.len()));
    }
    push(
        out,
        "\nEvery call is in negative-test.json; a key may be accepted for a while after the switch, until every node has heard of it.\n",
    );
}

/// Who uses the key, and how it is known where they are.
pub(super) fn consumers(facts: &Facts<'_>, out: &mut String) {
    let to = match story::outgoing(facts.run) {
        crate::rotation::Which::Old => "new",
        crate::rotation::Which::New => "old",
    };
    push(out, "## Consumers\n");
    if facts.run.plan.consumers.is_empty() {
        push(out, "None are listed.\n");
        return;
    }
    push(
        out,
        &format!("| consumer | owner | calls at least every | reads the value | how it is known on the {to} key |\n|---|---|---|---|---|"),
    );
    for c in &facts.run.plan.consumers {
        let known = md(&story::known(facts.run, facts.line, c));
        push(out, &format!("| {} | {} | {} | {} | {known} |", md(c.app.as_str()), md(&c.owner), c.cadence, md(&words::reload(&c.reload))));
    }
    push(out, "");
}

/// What is not shown.
pub(super) fn gaps(facts: &Facts<'_>, out: &mut String) {
    push(out, "## What this does not show\n");
    for gap in &facts.gaps.gaps {
        push(out, &format!("- *{}*: {}", gap.kind, md(&gap.what)));
    }
    push(out, "");
}

/// How to ask the sources again, and how to check the files.
pub(super) fn repeat(facts: &Facts<'_>, out: &mut String) {
    push(out, "## To repeat this\n");
    let mut seen: Vec<Window> = Vec::new();
    for file in facts.gates.values() {
        let Some(window) = &file.source.usage else { continue };
        if seen.contains(window) {
            continue;
        }
        seen.push(window.clone());
    }
    seen.sort_by(|a, b| (a.from, a.to, &a.query).cmp(&(b.from, b.to, &b.query)));
    for w in &seen {
        let kept = w.reaches.map_or_else(
            || "how far back the source reaches is unknown".to_owned(),
            |t| format!("the source reached back to {}", t.rfc3339()),
        );
        let query = if w.query.is_empty() { "(the source gave no query)".to_owned() } else { code(&w.query) };
        push(out, &format!("- {query}, {} to {}: expect {} rows; {kept}", w.from.rfc3339(), w.to.rfc3339(), w.rows));
    }
    if seen.is_empty() {
        push(out, "- no usage was read in this run");
    }
    push(out, "- files: `sha256sum -c manifest-sha256.txt`, then compare the number of files with Payload-Oxum in bag-info.txt (plus two)");
    push(out, "- plan: `sha256sum plan.json` gives the plan id above");
    push(
        out,
        "- journal line 7: `sed -n 7p journal.jsonl | sed 's/,\"hash\":\"[0-9a-f]*\"}$/}/' | tr -d '\\n' | sha256sum` gives its hash",
    );
    push(out, "- all of it: `keyroll evidence verify DIR`\n");
}

/// Eight words.
pub(super) fn glossary(out: &mut String) {
    push(out, "## Words\n");
    let words = [
        ("consumer", "an application, job or notebook that uses the key"),
        ("slot", "a place in a secret store that consumers read"),
        ("gate", "the checks that must pass before the run goes on"),
        ("inconclusive", "there was data, but not enough to decide; it never counts as passed"),
        ("waived", "a named person let a check go, with a reason and an end; it never counts as passed"),
        ("soak", "the time in which the old key is disabled and can still come back"),
        ("negative test", "calls with the retired key that must be refused, where the same calls were accepted before"),
        ("journal", "the run's own record, one line an event; each line holds the hash of the one before"),
    ];
    for (word, meaning) in words {
        push(out, &format!("- **{word}** – {meaning}"));
    }
    push(out, &format!("\n{}", footer()));
}
