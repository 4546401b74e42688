//! From a policy to ports: the only place that knows which adapter stands behind which trait.

mod witness;

use super::clock::SystemClock;
use super::fault::{Fault, exit};
use super::out::Out;
use super::signals::Stop as Signal;
use crate::adapters::approve::Answers;
use crate::adapters::consumers::ConsumerSet;
use crate::adapters::gateway::{Access, AnyGateway, AnyProber, SandboxGateway, SandboxProber};
use crate::adapters::notify::Notices;
use crate::adapters::reference::{self, References};
use crate::adapters::secrets::{AnyStore, Field, FileStore};
use crate::adapters::usage::{AnyUsage, JsonlUsage};
use crate::evidence::FileSeal;
use crate::journal::{JournalFile, Lease, OpenLock, StateDir};
use crate::policy::Policy;
use crate::policy::model::gateway::{Gateway, Sandbox};
use crate::policy::model::reference::Ref;
use crate::policy::model::slot::{FileFormat, FileSlot, Slot};
use crate::policy::model::usage::{LogFormat, Usage};
use crate::ports::{AppendError, Journal, Lock, Ports, Seal, SealError, Sealed};
use crate::rotation::{Endpoint, EndpointFacts, Record, Run, RunId, SlotNo, Span, Which};
use crate::sandbox;
use crate::secret::{Fingerprint, FingerprintKey, Scrubber, SecretText};
use crate::support::own_call;
use crate::usage::{Field as LogField, Mapping, Ours, Settings};
use std::path::Path;
use std::rc::Rc;

/// A row may appear this long after its call began.
const LAG: Span = Span(100);

/// All ports of one process.
pub(crate) struct Wired {
    /// The run this process would begin, or the one it goes on with.
    pub run_id: RunId,
    gateway: AnyGateway,
    prober: AnyProber,
    slots: Vec<AnyStore>,
    usage: AnyUsage,
    consumers: ConsumerSet,
    approver: Answers,
    notifier: Notices,
    clock: SystemClock,
    journal: Option<JournalFile>,
    lock: Option<OpenLock>,
    seal: Option<FileSeal>,
    fingerprints: Rc<FingerprintKey>,
    credentials: Vec<(String, Fingerprint)>,
    admin: SecretText,
    references: References,
    old: Option<Ref>,
    issuer: Option<Ref>,
    sandbox: Option<sandbox::Running>,
}

impl Wired {
    /// Makes every adapter that a policy names. Contacts nothing yet, except that an embedded sandbox is started.
    pub(crate) fn connect(policy: &Policy, state: &StateDir, run: Option<&Run>, signal: &Signal, out: &Out) -> Result<Self, Fault> {
        let run_id = match run {
            Some(run) => run.id.clone(),
            None => RunId::new(crate::secret::random_id(10).map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?),
        };
        let Some(Gateway::Sandbox(written)) = &policy.gateway else {
            let named = policy.gateway.as_ref().map_or("no gateway", |g| g.kind());
            return Err(
                Fault::new(exit::REFUSED, format!("reach the gateway: {named} is not in this build")).hint("`gateway: { sandbox: … }` is")
            );
        };
        let (place, running) = Place::of(written)?;
        let withheld = reference::variables(references_of(policy));
        let scrubber = Scrubber::new();
        let references = References { withhold: withheld.clone(), scrubber: scrubber.clone(), ask: ask(out) };
        let fingerprints = Rc::new(fingerprint_key(policy, state, run, &references)?);
        let admin = now(references.resolve(&place.admin_key))?;
        scrubber.add("admin", &admin);
        let credentials = vec![("the admin key".to_owned(), fingerprints.of(&admin))];
        let timeout = written
            .call_timeout
            .or_else(|| policy.timing.as_ref().and_then(|t| t.call_timeout))
            .map_or(Span::seconds(10), |p| Span(p.as_millis()));
        let provider = written.provider_key.is_some();
        let access = Access { base: place.admin.clone(), admin: admin.duplicate(), call_timeout: timeout, ca_pem: None };
        let endpoints = place.data.iter().map(|url| Endpoint::new(url.trim_end_matches('/'))).collect();
        let (gateway, prober) = if provider {
            (SandboxGateway::provider(access), SandboxProber::provider(endpoints, timeout))
        } else {
            (SandboxGateway::router(access), SandboxProber::router(endpoints, timeout))
        };
        let gateway = gateway.map_err(|e| Fault::usage(e.to_string()))?;
        let consumers = policy.consumers.iter().flat_map(|c| c.listed()).cloned().map(|c| place.rewrite(c)).collect();
        let slots = policy.slots.iter().filter_map(|slot| store(slot, &fingerprints)).collect();
        let log = || vec![format!("{}/*.jsonl", place.log)];
        Ok(Self {
            run_id,
            gateway: AnyGateway::Sandbox(gateway),
            prober: AnyProber::Sandbox(prober),
            slots,
            usage: usage(policy, provider, &log(), &fingerprints)?,
            consumers: ConsumerSet::new(consumers, timeout.std(), withheld.clone(), scrubber.clone()),
            approver: Answers::none(),
            notifier: Notices::new(&policy.notify, withheld, scrubber),
            clock: SystemClock::new(signal.clone()),
            journal: None,
            lock: None,
            seal: None,
            fingerprints,
            credentials,
            admin,
            references,
            old: written.key.as_ref().and_then(|k| k.secret.clone()),
            issuer: written.provider_key.as_ref().map(|p| p.issuer.clone()),
            sandbox: running,
        })
    }

    /// Adds what only the holder of a run has: journal, lock, seal, and the run's inbox.
    pub(crate) fn hold(
        &mut self,
        state: &StateDir,
        lease: Lease,
        journal: JournalFile,
        signal: &Signal,
        run: &Run,
        bundle: Option<&Path>,
    ) -> Result<(), Fault> {
        let lock = OpenLock::new(state.clone(), lease, &journal, signal.flag())?;
        let inbox = lock.inbox().clone();
        self.approver = Answers::new(Box::new(move |q| {
            inbox.answer_to(q.phase, q.attempt, &q.head).map(|found| found.map(|(_, reply)| reply.answer())).map_err(|e| e.to_string())
        }));
        let dir = state.run_dir(&run.id);
        let mut seal = FileSeal::new(&dir).needle("admin", self.admin.duplicate());
        for (i, needle) in self.fingerprints.needles().into_iter().enumerate() {
            seal = seal.needle(format!("fingerprint key, form {}", i + 1), needle);
        }
        if let Some(place) = bundle {
            seal = seal.bundle_at(place);
        }
        self.seal = Some(seal);
        self.lock = Some(lock);
        self.journal = Some(journal);
        Ok(())
    }

    /// Where the data plane can be tried.
    pub(crate) async fn endpoints(&self) -> Result<Vec<EndpointFacts>, Fault> {
        Ok(self.gateway.endpoints().await?)
    }

    /// Name and canonical address of each slot.
    pub(crate) fn slot_names(&self) -> Vec<(String, String)> {
        self.slots.iter().map(|s| (s.name(), s.address())).collect()
    }

    /// After a run against an embedded sandbox: what its consumers counted against what its log counted.
    pub(crate) async fn witness(&self, run: &Run, out: &Out) {
        // Counting stops the consumers; a run that goes on later still needs them.
        if let (Some(running), Some(_)) = (&self.sandbox, &run.ended) {
            witness::tell(running, run, out).await;
        }
    }
}

/// Canonical addresses of a policy's slots, without building anything.
pub(crate) fn slot_addresses(policy: &Policy) -> Vec<String> {
    policy
        .slots
        .iter()
        .filter_map(|slot| match slot {
            Slot::File(file) => Some(address_of(file)),
            Slot::Vault(_)
            | Slot::Aws(_)
            | Slot::Kubernetes(_)
            | Slot::Command(_)
            | Slot::Github(_)
            | Slot::Azure(_)
            | Slot::Gcp(_)
            | Slot::Vercel(_) => None,
        })
        .collect()
}

fn address_of(file: &FileSlot) -> String {
    // The address needs no key; this one never makes a fingerprint.
    FingerprintKey::from_bytes(&[0; 32]).map(|key| FileStore::new(&file.path, field(file), Rc::new(key)).address()).unwrap_or_default()
}

fn field(file: &FileSlot) -> Field {
    match (file.format(), &file.name) {
        (FileFormat::Dotenv, Some(name)) => Field::Variable(name.as_str().to_owned()),
        (FileFormat::Dotenv | FileFormat::Plain, _) => Field::Whole,
    }
}

fn store(slot: &Slot, fingerprints: &Rc<FingerprintKey>) -> Option<AnyStore> {
    match slot {
        Slot::File(file) => Some(AnyStore::File(FileStore::new(&file.path, field(file), fingerprints.clone()))),
        // The planner refuses these by name.
        Slot::Vault(_)
        | Slot::Aws(_)
        | Slot::Kubernetes(_)
        | Slot::Command(_)
        | Slot::Github(_)
        | Slot::Azure(_)
        | Slot::Gcp(_)
        | Slot::Vercel(_) => None,
    }
}

fn usage(policy: &Policy, provider: bool, gateway_log: &[String], fingerprints: &Rc<FingerprintKey>) -> Result<AnyUsage, Fault> {
    let own = || if provider { Mapping::sandbox_provider() } else { Mapping::sandbox() };
    let (paths, mapping) = match policy.usage.first() {
        None | Some(Usage::GatewayLog(_)) => (gateway_log.to_vec(), own()),
        Some(Usage::Jsonl(log)) => {
            let mapping = match &log.format {
                LogFormat::Known(name) if name.as_str() == "sandbox" => own(),
                LogFormat::Known(name) => Mapping::preset(name.as_str()).ok_or_else(|| {
                    Fault::usage(format!("read the log format `{}`: there is no such preset", name.as_str()))
                        .hint("`sandbox`, `generic`, or a map of JSON pointers")
                })?,
                LogFormat::Fields(fields) => mapping_of(fields),
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
    }
    JsonlUsage::new(settings).map(AnyUsage::Jsonl).map_err(|e| Fault::usage(e.to_string()))
}

/// The policy's JSON pointers as a mapping: any 401 counts as a refusal of the credential.
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
        ..Mapping::generic()
    }
}

/// Where the sandbox is, written in the policy or just started.
struct Place {
    admin: String,
    data: Vec<String>,
    control: String,
    log: String,
    admin_key: Ref,
}

impl Place {
    fn of(written: &Sandbox) -> Result<(Self, Option<sandbox::Running>), Fault> {
        if written.embedded.unwrap_or(written.admin.is_none()) {
            let dir = written.dir.clone().unwrap_or_else(|| ".keyroll/sandbox".into());
            let mut options = sandbox::Options::new(&dir);
            for fault in &written.faults {
                options.faults.push(fault.as_str().parse().map_err(|e| Fault::usage(format!("switch a fault on: {e}")))?);
            }
            // Enough calls in a few seconds that silence on the old key means something.
            options.rate = 2.0;
            let running = sandbox::start(options).map_err(|e| Fault::new(exit::UNREACHABLE, e.to_string()))?;
            let urls = running.urls.clone();
            let key = running.admin_key_file.display().to_string();
            let place = Self {
                admin: urls.admin,
                data: urls.data,
                control: urls.control,
                log: urls.log.display().to_string(),
                admin_key: Ref::File(key),
            };
            return Ok((place, Some(running)));
        }
        let need = |what: &str| {
            Fault::usage(format!("reach the sandbox: `{what}` is missing"))
                .hint("`keyroll sandbox serve` prints its addresses; or `embedded: true`")
        };
        let url = |u: &Option<crate::policy::scalar::Url>, what: &str| u.as_ref().map(|u| u.as_str().to_owned()).ok_or_else(|| need(what));
        Ok((
            Self {
                admin: url(&written.admin, "admin")?,
                data: written.data.iter().map(|u| u.as_str().to_owned()).collect(),
                control: written.control.as_ref().map(|u| u.as_str().to_owned()).unwrap_or_default(),
                log: written.log.clone().ok_or_else(|| need("log"))?,
                admin_key: written.admin_key.clone().ok_or_else(|| need("admin_key"))?,
            },
            None,
        ))
    }

    /// The host name `sandbox` in a consumer's addresses stands for the control address of the embedded sandbox.
    fn rewrite(&self, mut consumer: crate::policy::model::consumer::Consumer) -> crate::policy::model::consumer::Consumer {
        use crate::policy::model::consumer::{Ack, Reload};
        let put = |url: &mut crate::policy::scalar::Url| {
            if let Some(path) = url.as_str().strip_prefix("http://sandbox/")
                && let Ok(new) = crate::policy::scalar::Url::parse(&format!("{}/{path}", self.control.trim_end_matches('/')))
            {
                *url = new;
            }
        };
        if let Reload::Http(http) = &mut consumer.reload {
            put(&mut http.url);
        }
        if let Some(Ack::Http(http)) = &mut consumer.ack {
            put(&mut http.url);
        }
        consumer
    }
}

fn references_of(policy: &Policy) -> Vec<&Ref> {
    let mut found: Vec<&Ref> = Vec::new();
    if let Some(gateway) = &policy.gateway {
        found.extend(gateway.admin());
        found.extend(gateway.key().and_then(|k| k.secret.as_ref()));
        found.extend(gateway.provider_key().map(|p| &p.issuer));
    }
    if let Some(out) = &policy.evidence_out {
        found.extend(out.fingerprint_key.as_ref());
        found.extend(out.sign.as_ref().map(|s| &s.key));
    }
    found
}

/// The fingerprint key: the organisation's where the policy names one, else one file for the whole state folder, made on first use.
fn fingerprint_key(policy: &Policy, state: &StateDir, run: Option<&Run>, references: &References) -> Result<FingerprintKey, Fault> {
    let failed = |e: crate::secret::KeyProblem| {
        Fault::new(exit::STUCK, e.to_string()).hint("without its fingerprint key no value can be compared; nothing was done")
    };
    let key = match policy.evidence_out.as_ref().and_then(|o| o.fingerprint_key.as_ref()) {
        Some(reference) => FingerprintKey::from_bytes(now(references.resolve(reference))?.expose().as_bytes()).map_err(failed)?,
        None => {
            let path = state.root().join("fingerprint.key");
            if !path.exists() && run.is_none() {
                // Another process may make it at the same moment: whoever comes second reads the first one's.
                let _ = FingerprintKey::create_file(&path);
            }
            FingerprintKey::from_file(&path).map_err(failed)?
        }
    };
    match run {
        Some(run) if key.check_value() != run.plan.fingerprint_check => {
            Err(Fault::new(exit::STUCK, format!("go on with run {}: the fingerprint key is another one than when it was planned", run.id))
                .hint("nothing was done"))
        }
        Some(_) | None => Ok(key),
    }
}

fn ask(out: &Out) -> Option<Box<reference::Ask>> {
    out.terminal.then(|| {
        let ask: Box<reference::Ask> =
            Box::new(|question: &str| dialoguer::Password::new().with_prompt(question.to_owned()).interact().ok());
        ask
    })
}

/// Resolves a reference while the ports are wired. One that needs a program waits for it on a runtime of its own thread.
fn now<T: Send>(future: impl Future<Output = crate::ports::Result<T>>) -> Result<T, Fault> {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => Ok(value?),
        std::task::Poll::Pending => {
            Err(Fault::usage("read a credential of keyroll's own by a command: this build reads them from a file, a variable, or a prompt"))
        }
    }
}

impl Ports for Wired {
    type Gateway = AnyGateway;
    type Prober = AnyProber;
    type Store = AnyStore;
    type Usage = AnyUsage;
    type Consumers = ConsumerSet;
    type Approver = Answers;
    type Notifier = Notices;
    type Clock = SystemClock;
    type Journal = Option<JournalFile>;
    type Lock = Option<OpenLock>;
    type Seal = Option<FileSeal>;

    fn gateway(&self) -> &AnyGateway {
        &self.gateway
    }
    fn prober(&self) -> &AnyProber {
        &self.prober
    }
    fn slot(&self, slot: SlotNo) -> Option<&AnyStore> {
        self.slots.get(usize::from(slot.0))
    }
    fn usage(&self) -> &AnyUsage {
        &self.usage
    }
    fn consumers(&self) -> &ConsumerSet {
        &self.consumers
    }
    fn approver(&self) -> &Answers {
        &self.approver
    }
    fn notifier(&self) -> &Notices {
        &self.notifier
    }
    fn clock(&self) -> &SystemClock {
        &self.clock
    }
    fn journal(&mut self) -> &mut Option<JournalFile> {
        &mut self.journal
    }
    fn lock(&self) -> &Option<OpenLock> {
        &self.lock
    }
    fn seal(&self) -> &Option<FileSeal> {
        &self.seal
    }
    fn fingerprints(&self) -> &FingerprintKey {
        &self.fingerprints
    }
    fn credentials(&self) -> Vec<(String, Fingerprint)> {
        self.credentials.clone()
    }
    async fn supplied(&self, which: Which) -> crate::ports::Result<Option<SecretText>> {
        let reference = match which {
            Which::Old => self.old.as_ref(),
            Which::New => self.issuer.as_ref(),
        };
        match reference {
            Some(reference) => self.references.resolve(reference).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Before a run is held there is nothing to append to: no line, no effect.
impl Journal for Option<JournalFile> {
    fn append(&mut self, record: &Record) -> Result<u64, AppendError> {
        match self {
            Some(journal) => journal.append(record),
            None => Err(AppendError::Storage { why: "no run is held".into() }),
        }
    }
    fn head(&self) -> String {
        self.as_ref().map(Journal::head).unwrap_or_default()
    }
}

impl Lock for Option<OpenLock> {
    fn frozen(&self) -> Option<String> {
        self.as_ref().and_then(Lock::frozen)
    }
    fn asked_to_stop(&self) -> bool {
        self.as_ref().is_some_and(Lock::asked_to_stop)
    }
    fn asked_to_turn(&self) -> Option<(String, String)> {
        self.as_ref().and_then(Lock::asked_to_turn)
    }
    fn release(&self) {
        if let Some(lock) = self {
            lock.release();
        }
    }
}

impl Seal for Option<FileSeal> {
    fn scan(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError> {
        match self {
            Some(seal) => seal.scan(run, needles),
            None => Err(SealError::Storage { why: "no run is held".into() }),
        }
    }
    fn seal(&self, run: &Run, needles: &[(&str, &SecretText)]) -> Result<Sealed, SealError> {
        match self {
            Some(seal) => seal.seal(run, needles),
            None => Err(SealError::Storage { why: "no run is held".into() }),
        }
    }
}
