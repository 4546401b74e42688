//! `gateway: { http: … }` — a gateway described in the policy: its admin calls as requests, and where in the answers things are.
//!
//! Placeholders such as `{{id}}` stand in paths, queries, headers and bodies; which are known where is in `policy::check::http`.

mod answer;
mod data;
mod key;
pub mod placeholder;
mod request;

pub use answer::{Condition, Is, OneOrMore, Plain, Rule};
pub use data::{CustomCall, Data, Identify, KeyAuth};
pub use key::{EnabledAt, Fields, IdAt, MarkerAt, NameAt, TimeFormat};
pub use request::{Body, Document, HeaderName, HttpRequest, Method};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Nothing,
    gateway::{KeySelector, ProviderKey},
    reference::Ref,
};
use crate::policy::scalar::{Period, Pointer, Url};

/// A gateway with an HTTP admin API, described here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGateway {
    /// Base address of the admin API; the paths of requests are appended to it.
    pub url: Url,
    /// The admin credential: token, password, or API key.
    pub admin: Ref,
    /// How the admin credential is presented; as a bearer token when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AdminAuth>,
    /// Headers of every admin call. Never secrets.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The key to rotate; found by the value in the slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySelector>,
    /// A provider key to rotate; this driver cannot do that yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_key: Option<ProviderKey>,
    /// The data plane: where applications call, and what its answers mean.
    pub data: Data,
    /// Who we are at the admin API; a change of it stops a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityCall>,
    /// Conditions that every successful admin answer with a body meets, such as `[{ at: /success, is: true }]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub success: Vec<Condition>,
    /// Answers that mean "there is no such key"; status 404 always does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_found: Vec<Rule>,
    /// How all keys are listed, disabled ones included.
    pub list: List,
    /// Where in a listed key things are.
    pub fields: Fields,
    /// How a key is made.
    pub mint: MintCall,
    /// How a key is switched off without deleting it, and on again.
    pub disable: DisableCalls,
    /// How a key is deleted.
    pub delete: HttpRequest,
    /// How the marker of a key is replaced. Without it a run waits at its end until a person has replaced the marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<HttpRequest>,
    /// Nothing can replace a marker here: the key of a finished run keeps it, and only the state folder knows that the run is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker_stays: Option<bool>,
    /// How to tell whose key a value is; without it the plan asks for `accept: [unproven_binding]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identify: Option<Identify>,
    /// Longest time until every node of the data plane has seen a change; measured or documented, never zero by guess.
    pub settles_in: Period,
    /// How long a node may go on refusing a key that was enabled again; `settles_in` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal_cache: Option<Period>,
    /// How old and new key relate; `separate_ids` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<OverlapClass>,
    /// Longest time for one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// File with the certificate of a private authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl HttpGateway {
    /// The mint draws its own value, or takes ours: a body that holds `{{secret}}` says so.
    pub fn caller_chooses(&self) -> bool {
        self.mint.request.body.as_ref().is_some_and(|body| body.mentions("secret"))
    }

    /// A listing that a look relies on shows these fields; they are not permissions.
    pub fn pointers(&self) -> Vec<&Pointer> {
        let fields = &self.fields;
        let id = match &fields.id {
            IdAt::Field(at) => Some(at),
            IdAt::Sha256Of(_) => None,
        };
        let name = fields.name.as_ref().map(NameAt::at);
        let enabled = fields.enabled.as_ref().map(|e| &e.at);
        let plain = [&fields.created_at, &fields.expires_at, &fields.last_used_at, &fields.owner, &fields.secret];
        let mut all: Vec<&Pointer> = id.into_iter().chain(name).chain(enabled).collect();
        all.push(&fields.marker.at);
        all.extend(plain.into_iter().flatten());
        all.extend(&fields.volatile);
        all
    }
}

/// How the admin credential is presented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminAuth {
    /// `Authorization: Bearer …`.
    Bearer(Nothing),
    /// In a header of its own.
    Header(AuthHeader),
    /// HTTP basic authentication, the credential being the password.
    Basic(BasicAuth),
    /// By a login that answers with a cookie or a token; done anew when it has run out.
    Login(Box<Login>),
}

/// A header that carries a credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthHeader {
    /// Its name.
    pub name: HeaderName,
    /// What stands before the credential, such as `Token `, with its blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// HTTP basic authentication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user.
    pub user: String,
}

/// A login. Cookies of its answer are sent back with every call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The call; `{{admin}}` in its body stands for the admin credential. POST when no method is written.
    pub request: HttpRequest,
    /// What else of the answer is sent as a header: tokens, a user id, a cross-site token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub send: Vec<SendBack>,
}

/// A value of the login's answer that later calls carry as a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendBack {
    /// Where it is in the answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// Or the cookie that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// The header.
    pub header: HeaderName,
    /// What stands before the value, such as `Bearer `, with its blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityCall {
    /// The call.
    pub request: HttpRequest,
    /// Where the name of the admin principal is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Pointer>,
    /// Where the name of the organisation, project or gateway is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Pointer>,
    /// Where the version is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Pointer>,
}

/// How all keys are listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The call.
    pub request: HttpRequest,
    /// Further listings of the same shape, such as of disabled keys where those are apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<HttpRequest>,
    /// Where the list is in the answer; the answer itself is the list when absent. An object of rows is a list too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Pointer>,
    /// How further pages are reached; there are none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
    /// Where the answer says how many keys there are in all; the listing is then refused unless it shows as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Pointer>,
    /// Calls per key whose answers belong to its document, where the list alone does not show every restriction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<Detail>,
}

/// A call per listed key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// The call; `{{id}}` is the key.
    pub request: HttpRequest,
    /// Which part of the answer counts; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// The field of the key's document that it becomes; its fields become the document's own when absent.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// How further pages are reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// By number.
    Page(PageNumber),
    /// By how many rows to pass over.
    Offset(PageOffset),
    /// By a text of the answer that leads to the next page.
    Cursor(PageCursor),
    /// By the `Link` header with `rel="next"`.
    Link(Nothing),
    /// By an address in the answer's body.
    Next(PageNext),
    /// There are none, whatever the answer looks like.
    None(Nothing),
}

/// Pages by number: until an empty one, or until `pages` or the list's `total` is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageNumber {
    /// The query parameter.
    pub query: String,
    /// Number of the first page; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// Where the answer says how many pages there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pointer>,
    /// Where the answer says that there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Pointer>,
}

/// Pages by rows passed over: until an empty one, or until the list's `total` is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageOffset {
    /// The query parameter.
    pub query: String,
    /// Where the answer says that there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Pointer>,
}

/// Pages by cursor: until the answer has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageCursor {
    /// The query parameter.
    pub query: String,
    /// Where the next cursor is in the answer.
    pub at: Pointer,
    /// Where the answer says that there are more; a cursor counts only when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Pointer>,
}

/// The next page's address in the body; it must be on the same host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageNext {
    /// Where it is.
    pub at: Pointer,
}

/// How a key is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MintCall {
    /// The call; POST when no method is written. A body with `{{secret}}` chooses the value itself.
    pub request: HttpRequest,
    /// Where the new key's id is in the answer; found by listing the marker when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Pointer>,
    /// Where the new value is in the answer; not for a value that `reveal` shows or that we choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Pointer>,
    /// A second call that shows the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reveal: Option<Reveal>,
    /// Calls after it, in order: set fields that the first cannot, bind the key to things.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Then>,
}

/// A call that shows a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// The call; GET when no method is written.
    pub request: HttpRequest,
    /// Where the value is in the answer.
    pub secret: Pointer,
    /// What stands before the value in use but not in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// A call after the mint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// The call; POST when no method is written.
    pub request: HttpRequest,
    /// Once for each entry of this list in the old key's document; `{{item}}` is the entry, `{{item/name}}` a field of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Pointer>,
}

/// How a key is switched off and on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DisableCalls {
    /// By a switch.
    Flag(OffOn),
    /// By moving its expiry into the past (`{{past}}`); switching on takes the expiry away or far into the future.
    Expiry(OffOn),
    /// By a switch that cannot be turned back.
    OneWay(Off),
    /// Not at all: there is only deletion.
    None(Nothing),
}

/// Both ways of a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffOn {
    /// Refuses the key; PATCH when no method is written.
    pub off: HttpRequest,
    /// Accepts it again; PATCH when no method is written.
    pub on: HttpRequest,
}

/// One way of a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Off {
    /// Refuses the key; PATCH when no method is written.
    pub off: HttpRequest,
}

/// How old and new key relate while both live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlapClass {
    /// Two ids, two secrets.
    SeparateIds,
    /// One id that accepts two secrets for a while.
    OneIdTwoSecrets,
    /// One id whose old secret dies at once.
    OneIdNoOverlap,
    /// Two fixed slots.
    TwoSlots,
    /// The first use of the new secret starts the end of the old one.
    ActivateOnFirstUse,
}
