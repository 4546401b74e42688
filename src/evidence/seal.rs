//! [`FileSeal`]: the port that the engine seals through.

use super::files::{CollectError, collect_journal, json};
use super::payload::{Payload, REDACTION};
use super::scan::{Needle, NotSearched, Redaction, scan};
use super::write::{Sealer, unsigned, write};
use crate::ports::{Seal, SealError, Sealed};
use crate::rotation::{Mint, Run};
use crate::secret::{Scrubber, SecretText};
use std::path::{Path, PathBuf};

/// The label of the outgoing key's value, as the engine gives it.
pub const OLD: &str = "old";
/// The label of the replacement's value, as the engine gives it.
pub const NEW: &str = "new";

/// Collects, scans and writes the bundle of one run folder.
pub struct FileSeal {
    run_dir: PathBuf,
    bundle: PathBuf,
    extra: Vec<(String, SecretText)>,
    known: Option<Scrubber>,
    required: Vec<String>,
    sealer: Sealer,
}

impl FileSeal {
    /// The seal of a run folder. The bundle goes to `bundle/` in it.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        let run_dir = run_dir.into();
        let bundle = run_dir.join("bundle");
        Self { run_dir, bundle, extra: Vec::new(), known: None, required: Vec::new(), sealer: unsigned }
    }

    /// Another place for the bundle.
    #[must_use]
    pub fn bundle_at(mut self, place: impl Into<PathBuf>) -> Self {
        self.bundle = place.into();
        self
    }

    /// One more secret that must not be in the bundle: admin, stores, usage, fingerprint key.
    #[must_use]
    pub fn needle(mut self, label: impl Into<String>, secret: SecretText) -> Self {
        self.extra.push((label.into(), secret));
        self
    }

    /// Everything that this process came to know until it seals: tokens of stores, addresses of webhooks, credentials behind references.
    #[must_use]
    pub fn known(mut self, known: Scrubber) -> Self {
        self.known = Some(known);
        self
    }

    /// A secret that must be looked for, whether or not it could be loaded: without it nothing is sealed.
    #[must_use]
    pub fn require(mut self, label: impl Into<String>) -> Self {
        self.required.push(label.into());
        self
    }

    /// Where the bundle goes.
    pub fn place(&self) -> &Path {
        &self.bundle
    }

    /// The payload over the journal as it is now.
    fn collect(&self, run: &Run) -> Result<Payload, SealError> {
        let path = self.run_dir.join("journal.jsonl");
        let bytes = std::fs::read(&path).map_err(|e| SealError::Storage { why: format!("read {}: {}", path.display(), e.kind()) })?;
        let (folded, payload) = collect_journal(&bytes).map_err(|e| SealError::Storage { why: damaged(&e) })?;
        // The engine's state and the file must tell the same story, else the bundle would be about another run.
        if folded.id != run.id || folded.records != run.records || folded.plan_id != run.plan_id {
            return Err(SealError::Storage {
                why: "the journal on disk is not the one this process wrote; keep the run folder and look at it before resuming".to_owned(),
            });
        }
        Ok(payload)
    }

    /// Scans with everything that is at hand.
    fn redact(&self, run: &Run, payload: &Payload, needles: &[(&str, &SecretText)]) -> Result<Redaction, SealError> {
        let given = needles.iter().map(|(label, secret)| Needle { label, secret });
        let extra = self.extra.iter().map(|(label, secret)| Needle { label, secret });
        let learnt = self.known.as_ref().map(Scrubber::secrets).unwrap_or_default();
        let learnt = learnt.iter().map(|(label, secret)| Needle { label, secret });
        let all: Vec<Needle<'_>> = given.chain(extra).chain(learnt).collect();
        let mut redaction = scan(payload, &all)?;
        let required = self.required(run);
        for label in &required {
            if redaction.loaded.contains(label) {
                continue;
            }
            #[cfg(feature = "bugs")]
            if crate::bugs::on(crate::bugs::Bug::MissingNeedleIsZeroHits) {
                continue;
            }
            if !run.scanned {
                return Err(SealError::MissingNeedle { needle: format!("the value of `{label}`") });
            }
            // Everything up to the earlier scan was searched with this needle; the chain proves that it is unchanged, and what
            // came after it is typed records that cannot hold a value.
            redaction.not_searched.retain(|n| n.label != *label);
            redaction.not_searched.push(NotSearched {
                label: label.clone(),
                why: "its last readable copy is gone; the scan before that looked for it, and later records are typed".to_owned(),
            });
        }
        if run.mints > 0 && !required.iter().any(|l| l == NEW) && !redaction.loaded.iter().any(|l| l == NEW) {
            let why = match run.new {
                Some(_) => "it was known to one process only, which has ended; the processes after it never had it, and records are typed",
                None => "the key was removed again and its value is gone; records are typed and never held it",
            };
            redaction.not_searched.push(NotSearched { label: NEW.to_owned(), why: why.to_owned() });
        }
        if !run.plan.knows_old() {
            let why = "neither the gateway nor the policy tells it, so no process of this run ever had it".to_owned();
            redaction.not_searched.push(NotSearched { label: OLD.to_owned(), why });
        }
        redaction.required.extend(required);
        redaction.required.sort();
        redaction.required.dedup();
        redaction.not_searched.sort_by(|a, b| a.label.cmp(&b.label));
        Ok(redaction)
    }

    fn required(&self, run: &Run) -> Vec<String> {
        let mut labels = Vec::new();
        if run.plan.knows_old() {
            labels.push(OLD.to_owned());
        }
        // Whether a lost value may go unsearched was judged before, or waived by name; a process that never had it cannot write it.
        let lost = run.plan.gateway.caps.mint == Mint::Issued && !run.value_at_hand;
        if run.new.is_some() && !lost {
            labels.push(NEW.to_owned());
        }
        labels.extend(self.required.iter().cloned());
        labels
    }
}

impl Seal for FileSeal {
    fn scan(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError> {
        let mut payload = self.collect(run)?;
        let redaction = self.redact(run, &payload, needles)?;
        payload.files.insert(REDACTION.to_owned(), json(&redaction));
        Ok(Sealed { digest: payload.digest(), place: "not written yet".to_owned() })
    }

    fn seal(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError> {
        let mut payload = self.collect(run)?;
        let redaction = self.redact(run, &payload, needles)?;
        payload.files.insert(REDACTION.to_owned(), json(&redaction));
        write(&payload, &self.bundle, self.sealer)
    }
}

fn damaged(error: &CollectError) -> String {
    format!("{error}; the journal is kept as it is, and no bundle is written over a damaged one")
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
