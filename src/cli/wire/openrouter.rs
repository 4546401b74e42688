//! From the policy's `gateway: { openrouter: … }` or `{ arouter: … }` to its admin side, its data side, and its counters.

use super::gateway::{Connected, OwnLog, Tools, certificate, settled};
use crate::adapters::gateway::{
    Access, AnyGateway, AnyProber, Meter, OpenRouterDialect, OpenRouterGateway, OpenRouterProber, OpenRouterSettings,
};
use crate::adapters::usage::{AnyUsage, OPENROUTER_LAG, OpenRouterUsage, OpenRouterUsageSettings};
use crate::cli::fault::Fault;
use crate::policy::model::openrouter::{Dialect, OpenRouter};
use crate::rotation::Span;
use crate::secret::sha256_hex;
use std::collections::BTreeSet;
use std::rc::Rc;

/// How long a change may take where no document says.
const PROPAGATION: Span = Span::seconds(60);

/// Which of the two products.
#[derive(Clone, Copy)]
pub(super) enum Product {
    OpenRouter,
    ARouter,
}

/// Nothing is contacted; the admin credential is read from where its reference points.
pub(super) async fn connect(tools: &Tools<'_>, product: Product, written: &OpenRouter) -> Result<Connected, Fault> {
    let (dialect, usual) = match (product, written.dialect) {
        (Product::OpenRouter, None | Some(Dialect::Current)) => (OpenRouterDialect::OpenRouter, "https://openrouter.ai/api/v1"),
        (Product::OpenRouter, Some(Dialect::Legacy)) => {
            return Err(Fault::usage("read `dialect: legacy`: OpenRouter has one API only").hint("leave `dialect` out"));
        }
        (Product::ARouter, None | Some(Dialect::Current)) => (OpenRouterDialect::ARouter, "https://api.arouter.ai"),
        (Product::ARouter, Some(Dialect::Legacy)) => (OpenRouterDialect::ARouterLegacy, "https://api.arouter.ai"),
    };
    let admin = tools.admin(&written.admin).await?;
    let timeout = tools.call_timeout(written.call_timeout);
    let ca_pem = certificate(written.ca_file.as_deref())?;
    let base = written.url.as_ref().map_or(usual, |url| url.as_str()).trim_end_matches('/').to_owned();
    let known = if dialect == OpenRouterDialect::ARouterLegacy { settled(tools.state)? } else { BTreeSet::new() };
    let gateway = || {
        let access = Access { base: base.clone(), admin: admin.duplicate(), call_timeout: timeout, ca_pem: ca_pem.clone() };
        let settings = OpenRouterSettings {
            dialect,
            workspace: written.workspace.clone(),
            propagation: written.propagation.map_or(PROPAGATION, |p| Span(p.as_millis())),
            settled: known.clone(),
        };
        OpenRouterGateway::new(access, settings).map_err(|e| Fault::usage(e.to_string()))
    };
    let meter = Rc::new(Meter::default());
    let name: String = sha256_hex(base.as_bytes()).chars().take(16).collect();
    let usage = OpenRouterUsage::new(OpenRouterUsageSettings {
        lister: gateway()?,
        meter: meter.clone(),
        lag: written.usage_lag.map_or(OPENROUTER_LAG, |p| Span(p.as_millis())),
        file: tools.state.root().join("counters").join(format!("{name}.jsonl")),
        base: base.clone(),
    });
    let prober = OpenRouterProber::new(gateway()?, timeout, ca_pem.clone(), meter);
    Ok(Connected {
        gateway: AnyGateway::OpenRouter(Box::new(gateway()?)),
        prober: AnyProber::OpenRouter(Box::new(prober)),
        admin: Some(admin),
        log: OwnLog::Source(Box::new(AnyUsage::OpenRouter(Box::new(usage)))),
        timeout,
        place: None,
        sandbox: None,
    })
}
