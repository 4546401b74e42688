//! What a failed call means: for the outside, and for a person. Never what AWS wrote, only its code and the id of the request.

use crate::ports::PortError;
use crate::support::text::clean_to;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use std::io::ErrorKind;

/// Why a call has no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    why: String,
}

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing left this machine, or AWS turned it away unread.
    NotSent,
    /// It may have happened.
    Lost,
    /// AWS said no.
    Refused,
    /// There is no such secret, or no version with that label.
    Missing,
    /// The secret is in another state than the call relies on.
    State,
}

impl Problem {
    /// Sorts an error of the library.
    pub(super) fn of<E: ProvideErrorMetadata + std::error::Error + 'static>(call: &str, error: &SdkError<E, HttpResponse>) -> Self {
        let (kind, why) = match error {
            SdkError::ConstructionFailure(_) => {
                (Kind::NotSent, "no usable credentials or region were found; log in, or set AWS_PROFILE and AWS_REGION".into())
            }
            SdkError::TimeoutError(_) => (Kind::Lost, "no answer in time".into()),
            SdkError::DispatchFailure(failure) => {
                let sent = !refused_connection(error);
                let kind = if failure.is_user() || !sent { Kind::NotSent } else { Kind::Lost };
                // Credentials come from many places, and what those say may hold them.
                let why = match (failure.is_io() || failure.is_timeout(), kind) {
                    (true, Kind::NotSent) => "no connection; check the endpoint and the network",
                    (true, _) => "the connection ended before the answer",
                    (false, _) => "no connection, or no credentials; log in, or check AWS_PROFILE, the endpoint and the network",
                };
                (kind, why.into())
            }
            SdkError::ResponseError(_) => (Kind::Lost, "the answer cannot be understood".into()),
            SdkError::ServiceError(answer) => said(answer.err().code(), answer.raw().status().as_u16()),
            _ => (Kind::Lost, "the call failed in a way that is not known".into()),
        };
        let id =
            error.raw_response().and_then(RequestId::request_id).map(|id| format!(", request {}", clean_to(id, 64))).unwrap_or_default();
        Self { kind, why: format!("{call}: {why}{id}") }
    }

    /// A permission is missing, and nothing else is wrong.
    pub(super) fn is_denied(&self) -> bool {
        self.why.contains("permission for this call")
    }

    /// As the error of a port. A call that changes something may have happened when its answer was lost.
    pub(super) fn into_port(self, system: String, action: &str, changes: bool) -> PortError {
        let action = action.to_owned();
        match self.kind {
            Kind::NotSent => PortError::Unreachable { system, why: self.why, may_have_happened: false },
            Kind::Lost => PortError::Unreachable { system, why: self.why, may_have_happened: changes },
            Kind::Refused => PortError::Refused { system, action, why: self.why },
            Kind::Missing | Kind::State => PortError::Conflict { system, action, why: self.why },
        }
    }
}

/// What AWS answered.
fn said(code: Option<&str>, status: u16) -> (Kind, String) {
    let code = clean_to(code.unwrap_or("without a code"), 64);
    let (kind, hint) = match code.as_str() {
        "ResourceNotFoundException" => {
            (Kind::Missing, "there is no such secret or version for this account and region; check both, and the name")
        }
        "InvalidParameterException" | "InvalidRequestException" | "ResourceExistsException" | "PreconditionNotMetException" => {
            (Kind::State, "the secret is in another state than this call relies on")
        }
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" | "SlowDown" => {
            (Kind::NotSent, "too many calls; wait a little")
        }
        "LimitExceededException" => {
            (Kind::Refused, "a quota of the secret is used up; versions without labels are removed by AWS after a day")
        }
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => (Kind::Refused, "the permission for this call is missing"),
        "DecryptionFailure" | "EncryptionFailure" => {
            (Kind::Refused, "the KMS key of the secret cannot be used; check its state and its policy")
        }
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" | "TokenRefreshRequired" => {
            (Kind::Refused, "the login has expired; log in again")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => (Kind::Refused, "the credentials are not accepted; check which ones are used, and this machine's clock"),
        _ if status == 429 => (Kind::NotSent, "too many calls; wait a little"),
        // A server that failed may have done it before it failed.
        _ if status >= 500 => (Kind::Lost, "the service failed"),
        _ => (Kind::Refused, "the call was not accepted"),
    };
    (kind, format!("{hint} ({code}, status {status})"))
}

/// Nobody listened, so nothing was sent.
fn refused_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    // Chains are short; a bound costs nothing.
    for _ in 0..16 {
        let Some(now) = cause else { return false };
        if let Some(io) = now.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
        {
            return true;
        }
        cause = now.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means_for_the_outside() {
        assert_eq!(said(Some("ThrottlingException"), 400).0, Kind::NotSent);
        assert_eq!(said(None, 429).0, Kind::NotSent);
        assert_eq!(said(Some("InternalServiceError"), 500).0, Kind::Lost);
        assert_eq!(said(None, 503).0, Kind::Lost);
        assert_eq!(said(Some("AccessDeniedException"), 400).0, Kind::Refused);
        assert_eq!(said(Some("InvalidParameterException"), 400).0, Kind::State);
        assert_eq!(said(Some("ResourceNotFoundException"), 400).0, Kind::Missing);
    }

    #[test]
    fn only_a_change_may_have_happened() {
        let lost = || Problem { kind: Kind::Lost, why: "x".into() };
        assert!(lost().into_port("s".into(), "promote", true).may_have_happened());
        assert!(!lost().into_port("s".into(), "read", false).may_have_happened());
    }

    #[test]
    fn a_hostile_code_cannot_break_a_message() {
        let (_, why) = said(Some("Bad\u{1b}[31m\nCode"), 400);
        assert!(!why.contains('\n') && !why.contains('\u{1b}'), "{why}");
    }
}
