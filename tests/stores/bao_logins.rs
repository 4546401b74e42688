//! Logins to OpenBao other than a token: a signed token of our own authority, and Kubernetes with a stand-in for its token review.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use crate::openbao::Bao;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyroll::policy::model::reference::{JwtLogin, KubernetesLogin, VaultAuth};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;

/// Signs tokens.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let text = format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// A login by a signed token, mounted at a place of its own.
pub(crate) async fn jwt(bao: &Bao) -> (Signer, VaultAuth) {
    let signer = Signer::new();
    bao.call(Method::POST, "sys/auth/ci", json!({ "type": "jwt" })).await;
    let config = json!({ "jwt_validation_pubkeys": [signer.public_pem()], "jwt_supported_algs": ["ES256"], "default_role": "rotator" });
    bao.call(Method::POST, "auth/ci/config", config).await;
    let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["keyroll"], "token_policies": ["keyroll"], "token_ttl": "20m" });
    bao.call(Method::POST, "auth/ci/role/rotator", role).await;
    let now = chrono::Utc::now().timestamp();
    let auth =
        jwt_again(bao, &signer.sign(&json!({ "sub": "pipeline-7", "aud": "keyroll", "iat": now, "nbf": now - 5, "exp": now + 600 })));
    (signer, auth)
}

/// The same login with another token.
pub(crate) fn jwt_again(bao: &Bao, token: &str) -> VaultAuth {
    VaultAuth::Jwt(JwtLogin { role: None, jwt: Box::new(bao.file("ci.jwt", token)), mount: Some("ci".into()) })
}

/// A login by a service account; `reviews` answers for the cluster.
pub(crate) async fn kubernetes(bao: &Bao, signer: &Signer) -> VaultAuth {
    let port = token_reviews();
    bao.call(Method::POST, "sys/auth/kubernetes", json!({ "type": "kubernetes" })).await;
    let now = chrono::Utc::now().timestamp();
    let claims = json!({
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:ops:keyroll", "aud": ["vault"], "iat": now, "nbf": now - 5, "exp": now + 600,
        "kubernetes.io": { "namespace": "ops", "serviceaccount": { "name": "keyroll", "uid": "1c5c-77" } },
    });
    let token = signer.sign(&claims);
    let ca = std::fs::read_to_string(bao.ca_file.as_ref().unwrap()).unwrap();
    let config = json!({
        "kubernetes_host": format!("http://127.0.0.1:{port}"), "kubernetes_ca_cert": ca, "token_reviewer_jwt": token,
        "disable_local_ca_jwt": true, "disable_iss_validation": true,
    });
    bao.call(Method::POST, "auth/kubernetes/config", config).await;
    let role = json!({
        "bound_service_account_names": ["keyroll"], "bound_service_account_namespaces": ["ops"], "token_policies": ["keyroll"], "token_ttl": "20m",
    });
    bao.call(Method::POST, "auth/kubernetes/role/rotator", role).await;
    VaultAuth::Kubernetes(KubernetesLogin { role: "rotator".into(), jwt: Some(Box::new(bao.file("pod.jwt", &token))), mount: None })
}

/// A stand-in for the cluster's token review; it ends with the test's process.
fn token_reviews() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if crate::proxy::request(&mut stream).is_none() {
                continue;
            }
            let review = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "status": { "authenticated": true, "audiences": ["vault"], "user": { "username": "system:serviceaccount:ops:keyroll", "uid": "1c5c-77", "groups": ["system:serviceaccounts"] } },
            })
            .to_string();
            let head = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                review.len()
            );
            let _the_server_may_be_gone = stream.write_all((head + &review).as_bytes());
        }
    });
    port
}
