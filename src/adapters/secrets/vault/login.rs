//! How keyroll becomes somebody at the server: a token as it is, or a login whose token lasts as long as the server says.

use super::place;
use crate::adapters::reference::References;
use crate::policy::model::reference::{AppRoleLogin, JwtLogin, KubernetesLogin, Ref, VaultAuth};
use crate::policy::scalar::VariableName;
use crate::ports::Result;
use crate::secret::SecretText;
use crate::support::clock;
use zeroize::Zeroizing;

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A token and until when it is used.
pub(super) struct Session {
    pub(super) token: SecretText,
    /// By the boot clock, in milliseconds.
    until: Option<u64>,
}

impl Session {
    /// A token that somebody gave us: how long it lasts is their business.
    pub(super) fn given(token: SecretText) -> Self {
        Self { token, until: None }
    }

    /// A token that somebody gave us, looked at again after a while: it may be time to renew it.
    pub(super) fn given_for(token: SecretText, seconds: u64) -> Self {
        let until = clock::boot_millis().saturating_add(seconds.max(1).saturating_mul(1000) / 3);
        Self { token, until: Some(until) }
    }

    /// A token that we logged in for. It is given up after two thirds of its time, so that no call meets its end.
    pub(super) fn leased(token: SecretText, seconds: u64) -> Self {
        let until = (seconds > 0).then(|| clock::boot_millis().saturating_add(seconds.saturating_mul(1000) / 3 * 2));
        Self { token, until }
    }

    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| clock::boot_millis() >= until)
    }
}

/// What to send to become somebody.
pub(super) enum Login {
    /// Nothing: this is the token.
    Token(SecretText),
    /// A body for this mount's login.
    Call { mount: String, body: Zeroizing<String> },
}

/// The reference that is meant where a policy names no way to log in.
pub(super) fn default_token() -> Option<Ref> {
    VariableName::parse("VAULT_TOKEN").ok().map(Ref::Env)
}

impl Login {
    /// Reads the credential, again each time: a file may have been renewed.
    pub(super) async fn read(auth: Option<&VaultAuth>, references: &References) -> Result<std::result::Result<Self, String>> {
        let resolve = async |reference: &Ref| -> Result<SecretText> {
            // A reference may need Vault itself, which may need a reference.
            let value = Box::pin(references.resolve(reference)).await?;
            references.scrubber.add("vault credential", &value);
            Ok(value)
        };
        let (mount, usual, fields) = match auth {
            None => {
                let Some(variable) = default_token() else { return Ok(Err("it names no way to log in".into())) };
                return resolve(&variable).await.map(|token| Ok(Self::Token(token)));
            }
            Some(VaultAuth::Token(reference)) => return resolve(reference).await.map(|token| Ok(Self::Token(token))),
            Some(VaultAuth::AppRole(AppRoleLogin { role_id, secret_id, mount })) => {
                (mount, "approle", vec![("role_id", SecretText::new(role_id)), ("secret_id", resolve(secret_id).await?)])
            }
            Some(VaultAuth::Kubernetes(KubernetesLogin { role, jwt, mount })) => {
                let jwt = match jwt {
                    Some(reference) => resolve(reference).await?,
                    None => resolve(&Ref::File(SERVICE_ACCOUNT.into())).await?,
                };
                (mount, "kubernetes", vec![("role", SecretText::new(role)), ("jwt", jwt)])
            }
            #[cfg(feature = "aws")]
            Some(VaultAuth::Aws(login)) => match super::login_aws::fields(login).await {
                Ok(fields) => (&login.mount, "aws", fields),
                Err(why) => return Ok(Err(why)),
            },
            #[cfg(not(feature = "aws"))]
            Some(VaultAuth::Aws(_)) => return Ok(Err("this build cannot sign for AWS; use another login".into())),
            Some(VaultAuth::Jwt(JwtLogin { role, jwt, mount })) => {
                let mut fields = vec![("jwt", resolve(jwt).await?)];
                fields.extend(role.as_ref().map(|role| ("role", SecretText::new(role))));
                (mount, "jwt", fields)
            }
        };
        let mount = place::path("login mount", mount.as_deref().unwrap_or(usual).trim_matches('/'));
        Ok(mount.map(|mount| Self::Call { mount, body: object(&fields) }))
    }
}

/// A JSON object of texts.
fn object(fields: &[(&str, SecretText)]) -> Zeroizing<String> {
    let room = fields.iter().fold(16_usize, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len() * 6 + 8));
    let mut body = Zeroizing::new(String::with_capacity(room));
    body.push('{');
    for (i, (name, value)) in fields.iter().enumerate() {
        if i > 0 {
            body.push(',');
        }
        for (text, end) in [(*name, ":"), (value.expose(), "")] {
            let json = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
            body.push_str(&json);
            body.push_str(end);
        }
    }
    body.push('}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_given_up_before_it_ends_and_a_given_token_is_not() {
        assert!(!Session::given(SecretText::new("t")).is_over());
        assert!(!Session::leased(SecretText::new("t"), 60).is_over());
        assert!(!Session::leased(SecretText::new("t"), 0).is_over(), "no lease means no end");
        let mut over = Session::leased(SecretText::new("t"), 60);
        over.until = Some(clock::boot_millis());
        assert!(over.is_over());
    }

    #[test]
    fn a_body_is_an_object_of_texts() {
        let fields = [("role", SecretText::new("a\"b")), ("jwt", SecretText::new("x.y.z"))];
        assert_eq!(object(&fields).as_str(), r#"{"role":"a\"b","jwt":"x.y.z"}"#);
        assert_eq!(object(&[]).as_str(), "{}");
    }
}
