//! What every call to a cluster needs.

use super::gateway::Tools;
use crate::adapters::secrets::kubernetes::Settings;

/// The settings of a policy's calls.
pub(super) fn settings(tools: &Tools<'_>) -> Settings {
    Settings {
        timeout: tools.call_timeout(None).std(),
        withhold: tools.references.withhold.clone(),
        scrubber: tools.scrubber.clone(),
        kubeconfig: None,
    }
}
