//! From the policy's `usage:` to the source that is read.

use super::gateway::OwnLog;
use crate::adapters::usage::{AnyUsage, JsonlUsage};
use crate::cli::fault::Fault;
use crate::policy::Policy;
use crate::policy::model::usage::{LogFormat, Usage};
use crate::rotation::Span;
use crate::secret::FingerprintKey;
use crate::support::own_call;
use crate::usage::{Field as LogField, Mapping, Ours, Refusal, Settings};
use std::rc::Rc;

/// A row may appear this long after its call began.
const LAG: Span = Span(100);

/// The source of the first `usage:` entry; the gateway's own log when there is none.
pub(super) fn usage(policy: &Policy, own: OwnLog, fingerprints: &Rc<FingerprintKey>) -> Result<AnyUsage, Fault> {
    let (paths, mapping) = match (policy.usage.first(), own) {
        (None | Some(Usage::GatewayLog(_)), OwnLog::Source(source)) => return Ok(*source),
        (None | Some(Usage::GatewayLog(_)), OwnLog::Files(paths, mapping)) => (paths, *mapping),
        (Some(Usage::Jsonl(log)), own) => {
            let mapping = match (&log.format, own) {
                (LogFormat::Known(name), OwnLog::Files(_, mapping)) if name.as_str() == "sandbox" => *mapping,
                (LogFormat::Known(name), _) => Mapping::preset(name.as_str()).ok_or_else(|| {
                    Fault::usage(format!("read the log format `{}`: there is no such preset", name.as_str()))
                        .hint("`sandbox`, `generic`, or a map of JSON pointers")
                })?,
                (LogFormat::Fields(fields), _) => mapping_of(fields),
            };
            (log.paths.clone(), mapping)
        }
    };
    let mut settings = Settings::new(paths, mapping);
    settings.lag = LAG;
    let key = fingerprints.clone();
    settings.ours = Ours(Rc::new(move |id| own_call::is_ours(&key, id)));
    // The sandbox documents it; soak asks for a refusal of our own all the same.
    settings.sees_refused = Some(true);
    if let Some(Usage::Jsonl(log)) = policy.usage.first() {
        settings.shards = log.shards;
        settings.sees_refused = Some(log.sees_refused.unwrap_or(true));
    }
    JsonlUsage::new(settings).map(|source| AnyUsage::Jsonl(Box::new(source))).map_err(|e| Fault::usage(e.to_string()))
}

/// The policy's JSON pointers as a mapping: any 401 counts as a refusal of the credential, unless the policy says what does.
fn mapping_of(fields: &crate::policy::model::usage::FieldMap) -> Mapping {
    let field = |pointer: &crate::policy::scalar::Pointer| LogField::new(pointer.as_str());
    Mapping {
        time: field(&fields.time),
        key: field(&fields.key_id),
        status: field(&fields.status),
        request_id: field(&fields.request_id),
        caller: fields.consumer.as_ref().map(field),
        owner: fields.owner.as_ref().map(field),
        shard: fields.shard.as_ref().map(field),
        error_type: fields.error_type.as_ref().map(field),
        refusal: Refusal { status: fields.refused_status.unwrap_or(401), error_types: fields.refused_types.clone() },
    }
}
