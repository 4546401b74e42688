//! How a pod's containers come to the value of a Secret, by its description.

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, PodSpec, VolumeMount};

/// How a pod reads a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A variable, or all of them: fixed when the container starts.
    Env,
    /// A variable of a container that runs before the others: fixed when the pod starts.
    Init,
    /// A file that is renewed under the running container.
    Volume,
    /// A single file of a volume, which is never renewed.
    SubPath,
    /// To pull images: no program sees it.
    Pull,
}

impl Way {
    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Env => "a variable",
            Self::Init => "a variable before it starts",
            Self::Volume => "a file",
            Self::SubPath => "a file that is never renewed",
            Self::Pull => "a login for images",
        }
    }
}

/// Every way in which a pod reads a key of a Secret; every key where none is given.
pub(crate) fn ways(pod: &PodSpec, secret: &str, key: Option<&str>) -> Vec<Way> {
    let mut found = Vec::new();
    let init = pod.init_containers.as_deref().unwrap_or_default();
    for (container, first) in pod.containers.iter().map(|c| (c, false)).chain(init.iter().map(|c| (c, true))) {
        // A sidecar starts first and stays: for its variables it is a container like the others.
        let first = first && container.restart_policy.as_deref() != Some("Always");
        of_container(container, pod, secret, key, first, &mut found);
    }
    for container in pod.ephemeral_containers.as_deref().unwrap_or_default() {
        if env(container.env.as_deref(), container.env_from.as_deref(), secret, key) {
            found.push(Way::Env);
        }
    }
    if pod.image_pull_secrets.iter().flatten().any(|s| s.name == secret) {
        found.push(Way::Pull);
    }
    found.sort();
    found.dedup();
    found
}

fn of_container(container: &Container, pod: &PodSpec, secret: &str, key: Option<&str>, first: bool, found: &mut Vec<Way>) {
    if env(container.env.as_deref(), container.env_from.as_deref(), secret, key) {
        found.push(if first { Way::Init } else { Way::Env });
    }
    let volumes: Vec<&str> = pod
        .volumes
        .iter()
        .flatten()
        .filter(|v| {
            let plain = v.secret.as_ref().is_some_and(|s| s.secret_name.as_deref() == Some(secret));
            let sources = v.projected.iter().flat_map(|p| p.sources.iter().flatten());
            plain || sources.filter_map(|s| s.secret.as_ref()).any(|s| s.name == secret)
        })
        .map(|v| v.name.as_str())
        .collect();
    let mounts: &[VolumeMount] = container.volume_mounts.as_deref().unwrap_or_default();
    for mount in mounts.iter().filter(|m| volumes.contains(&m.name.as_str())) {
        let single = mount.sub_path.is_some() || mount.sub_path_expr.is_some();
        found.push(match (first, single) {
            (true, _) => Way::Init,
            (false, true) => Way::SubPath,
            (false, false) => Way::Volume,
        });
    }
}

fn env(variables: Option<&[EnvVar]>, whole: Option<&[EnvFromSource]>, secret: &str, key: Option<&str>) -> bool {
    let one = variables.unwrap_or_default().iter().filter_map(|v| v.value_from.as_ref()?.secret_key_ref.as_ref());
    let one = one.into_iter().any(|r| r.name == secret && key.is_none_or(|k| r.key == k));
    one || whole.unwrap_or_default().iter().filter_map(|f| f.secret_ref.as_ref()).any(|r| r.name == secret)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(spec: &Value) -> Vec<Way> {
        ways(&serde_json::from_value(spec.clone()).unwrap(), "router-key", Some("api_key"))
    }

    fn variable(secret: &str, key: &str) -> Value {
        json!([{ "name": "K", "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } }])
    }

    #[test]
    fn every_way_to_a_secret_is_found() {
        let env = variable("router-key", "api_key");
        assert_eq!(of(&json!({ "containers": [{ "name": "a", "env": env }] })), [Way::Env]);
        assert_eq!(of(&json!({ "containers": [{ "name": "a", "envFrom": [{ "secretRef": { "name": "router-key" } }] }] })), [Way::Env]);
        assert_eq!(of(&json!({ "containers": [{ "name": "a" }], "initContainers": [{ "name": "i", "env": env }] })), [Way::Init]);
        let sidecar =
            json!({ "containers": [{ "name": "a" }], "initContainers": [{ "name": "i", "env": env, "restartPolicy": "Always" }] });
        assert_eq!(of(&sidecar), [Way::Env]);
        let volume = json!([{ "name": "v", "secret": { "secretName": "router-key" } }]);
        let mounted = |more: Value| {
            let mut mount = json!({ "name": "v", "mountPath": "/s" });
            mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "containers": [{ "name": "a", "volumeMounts": [mount] }], "volumes": volume })
        };
        assert_eq!(of(&mounted(json!({}))), [Way::Volume]);
        assert_eq!(of(&mounted(json!({ "subPath": "api_key" }))), [Way::SubPath]);
        let projected = json!({
            "containers": [{ "name": "a", "volumeMounts": [{ "name": "v", "mountPath": "/s" }] }],
            "volumes": [{ "name": "v", "projected": { "sources": [{ "secret": { "name": "router-key" } }] } }],
        });
        assert_eq!(of(&projected), [Way::Volume]);
        assert_eq!(of(&json!({ "containers": [{ "name": "a" }], "imagePullSecrets": [{ "name": "router-key" }] })), [Way::Pull]);
    }

    #[test]
    fn other_secrets_and_other_keys_are_not_it() {
        assert_eq!(of(&json!({ "containers": [{ "name": "a", "env": variable("other", "api_key") }] })), []);
        assert_eq!(of(&json!({ "containers": [{ "name": "a", "env": variable("router-key", "other") }] })), []);
        // A volume that no container mounts reaches nobody.
        let spec = json!({ "containers": [{ "name": "a" }], "volumes": [{ "name": "v", "secret": { "secretName": "router-key" } }] });
        assert_eq!(of(&spec), []);
    }
}
