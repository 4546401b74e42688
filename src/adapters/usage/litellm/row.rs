//! One row of the spend log.

use super::Part;
use crate::policy::model::gateway::Caller;
use crate::rotation::Time;
use crate::support::own_call;
use crate::support::text::clean_to;
use serde::Deserialize;

/// What is said of a blocked key; such a row has no code.
const BLOCKED: &str = "Key is blocked";

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Row>,
    pub(super) total: u64,
    pub(super) total_pages: u64,
    #[serde(default)]
    pub(super) total_is_capped: bool,
}

#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) request_id: String,
    pub(super) api_key: Option<String>,
    #[serde(rename = "startTime")]
    start: Option<String>,
    status: Option<String>,
    litellm_call_id: Option<String>,
    end_user: Option<String>,
    team_id: Option<String>,
    user: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    litellm_call_id: Option<String>,
    user_agent: Option<String>,
    error_information: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    error_code: Option<String>,
    error_class: Option<String>,
    error_message: Option<String>,
    llm_provider: Option<String>,
}

/// How a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Accepted,
    Refused,
    Other,
}

/// What is kept of a row.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// None: the row says no time that can be read.
    pub(super) at: Option<Time>,
    pub(super) class: Class,
    pub(super) caller: String,
    pub(super) owner: String,
    /// The id that the caller gave the call, or the gateway.
    pub(super) call: String,
    /// The id and place that its user agent names, where it looks like ours.
    pub(super) agent: Option<(String, usize)>,
}

impl Seen {
    /// It is a row of this part. One without a time is in none, so that its part is never thought to be known.
    pub(super) fn within(&self, part: Part) -> bool {
        self.at.is_some_and(|at| part.holds(at))
    }
}

impl Row {
    /// When its call began.
    pub(super) fn at(&self) -> Option<Time> {
        self.start.as_deref().and_then(Time::parse)
    }

    /// What is kept of it.
    pub(super) fn seen(&self, by: Option<Caller>) -> Seen {
        let metadata = self.metadata.as_ref();
        let text = |field: &Option<String>| field.clone().filter(|t| !t.is_empty());
        let agent = metadata.and_then(|m| m.user_agent.as_deref()).unwrap_or_default();
        let product = || agent.split(['/', ' ']).next().unwrap_or_default().to_owned();
        let caller = match by {
            Some(Caller::EndUser) => self.end_user.clone().unwrap_or_default(),
            Some(Caller::UserAgent) => product(),
            None => text(&self.end_user).unwrap_or_else(product),
        };
        let call = text(&self.litellm_call_id).or_else(|| metadata.and_then(|m| text(&m.litellm_call_id)));
        Seen {
            at: self.at(),
            class: self.class(),
            caller: clean_to(&caller, 200),
            owner: clean_to(&text(&self.team_id).or_else(|| text(&self.user)).unwrap_or_default(), 200),
            call: clean_to(&call.unwrap_or_default(), 200),
            agent: own_call::of_agent(agent).map(|(id, place)| (clean_to(id, 200), place)),
        }
    }

    /// Whatever is not clearly a success, or a refusal of the key by the gateway itself, is a use.
    fn class(&self) -> Class {
        if self.status.as_deref() == Some("success") {
            return Class::Accepted;
        }
        let Some(problem) = self.metadata.as_ref().and_then(|m| m.error_information.as_ref()) else { return Class::Other };
        let says = |field: &Option<String>, part: &str| field.as_deref().is_some_and(|text| text.contains(part));
        // A 401 that names a provider is the provider's own.
        let by_gateway = problem.llm_provider.as_deref().unwrap_or_default().is_empty();
        let refused = problem.error_code.as_deref() == Some("401")
            || problem.error_class.as_deref() == Some("KeyNotFoundError")
            || says(&problem.error_message, BLOCKED);
        if by_gateway && refused { Class::Refused } else { Class::Other }
    }
}
