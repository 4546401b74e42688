//! stub
use serde::{Deserialize, Serialize};
/// x
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(String);
/// x
pub struct SecretText(String);
/// x
pub struct FingerprintKey;
/// x
impl FingerprintKey {
    /// x
    pub fn of(&self, s: &SecretText) -> Fingerprint {
        Fingerprint(s.0.clone())
    }
}
/// x
impl FingerprintKey {
    /// x
    pub fn check_value(&self) -> String {
        String::new()
    }
}
impl SecretText {
    /// x
    pub fn new(s: String) -> Self {
        Self(s)
    }
    /// x
    pub fn duplicate(&self) -> SecretText {
        SecretText(self.0.clone())
    }
    /// x
    pub fn same_as(&self, o: &SecretText) -> bool {
        self.0 == o.0
    }
}
/// x
pub fn sha256_hex(_b: &[u8]) -> String {
    String::new()
}
/// x
pub fn random_id(_n: usize) -> Result<String, String> {
    Ok(String::new())
}
