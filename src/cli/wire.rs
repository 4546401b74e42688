//! From a policy to ports: the only place that knows which adapter stands behind which trait.

mod aisix;
mod credentials;
mod examine;
mod gateway;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod litellm;
mod newapi;
mod openrouter;
mod optional;
mod sandbox;
mod store;
mod usage;
mod witness;

use super::clock::SystemClock;
use super::fault::{Fault, exit};
use super::out::Out;
use super::signals::Stop as Signal;
use crate::adapters::approve::Answers;
use crate::adapters::consumers::ConsumerSet;
use crate::adapters::gateway::{AnyGateway, AnyProber};
use crate::adapters::notify::Notices;
use crate::adapters::reference::{self, References};
use crate::adapters::secrets::AnyStore;
use crate::adapters::usage::AnyUsage;
use crate::evidence::FileSeal;
use crate::journal::{JournalFile, Lease, OpenLock, StateDir};
use crate::policy::Policy;
use crate::policy::model::reference::Ref;
use crate::ports::Ports;
use crate::rotation::{EndpointFacts, Run, RunId, SlotNo, Which};
use crate::sandbox::Running;
use crate::secret::{Fingerprint, FingerprintKey, Scrubber, SecretText};
use std::path::Path;
use std::rc::Rc;

pub(crate) use examine::{System, examine};
#[cfg(feature = "kubernetes")]
pub(crate) use kubernetes::found;
pub(crate) use sandbox::STAND_IN;
pub(crate) use store::slot_addresses;

/// Without Kubernetes nothing can be found.
#[cfg(not(feature = "kubernetes"))]
pub(crate) async fn found(loaded: super::load::LoadedPolicy) -> Result<super::load::LoadedPolicy, Fault> {
    Ok(loaded)
}

/// All ports of one process.
pub(crate) struct Wired {
    /// The run this process would begin, or the one it goes on with.
    pub run_id: RunId,
    gateway: AnyGateway,
    prober: AnyProber,
    slots: Rc<Vec<AnyStore>>,
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
    admin: Option<SecretText>,
    references: Rc<References>,
    old: Option<Ref>,
    issuer: Option<Ref>,
    sandbox: Option<Running>,
}

impl Wired {
    /// Makes every adapter that a policy names. Contacts nothing yet, except that an embedded sandbox is started, and that a credential is
    /// read from where its reference points.
    pub(crate) async fn connect(policy: &Policy, state: &StateDir, run: Option<&Run>, signal: &Signal, out: &Out) -> Result<Self, Fault> {
        let run_id = match run {
            Some(run) => run.id.clone(),
            None => RunId::new(crate::secret::random_id(10).map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?),
        };
        let mut withheld = reference::variables(credentials::references_of(policy));
        withheld.extend(credentials::variables_of_slots(policy));
        let scrubber = Scrubber::new();
        let references = Rc::new(References { withhold: withheld.clone(), scrubber: scrubber.clone(), ask: credentials::ask(out) });
        let fingerprints = Rc::new(credentials::fingerprint_key(policy, state, run, &references).await?);
        let tools = gateway::Tools { policy, references: &references, scrubber: &scrubber, state, fingerprints: &fingerprints };
        let mut slots = Vec::new();
        for slot in &policy.slots {
            slots.extend(store::store(slot, &tools)?);
        }
        let slots = Rc::new(slots);
        let connected = gateway::connect(&tools).await?;
        let consumers = policy.consumers.iter().flat_map(|c| c.listed()).cloned().map(|c| connected.place(c)).collect();
        let consumers = ConsumerSet::new(consumers, connected.timeout.std(), withheld.clone(), scrubber.clone());
        #[cfg(feature = "kubernetes")]
        let consumers = consumers.with_workloads(kubernetes::workloads(&tools, &slots, signal));
        let named = policy.gateway.as_ref();
        let known = connected.admin.iter().map(|a| ("the admin key".to_owned(), fingerprints.of(a))).collect();
        Ok(Self {
            run_id,
            slots,
            usage: usage::usage(policy, connected.log, &fingerprints)?,
            consumers,
            approver: Answers::none(),
            notifier: Notices::new(&policy.notify, references.clone()),
            clock: SystemClock::new(signal.clone()),
            journal: None,
            lock: None,
            seal: None,
            fingerprints,
            credentials: known,
            references,
            old: named.and_then(|g| match (g.key(), g.provider_key()) {
                (Some(key), _) => key.secret.clone(),
                (None, provider) => provider.and_then(|p| p.secret.clone()),
            }),
            issuer: named.and_then(|g| g.provider_key()).map(|p| p.issuer.clone()),
            gateway: connected.gateway,
            prober: connected.prober,
            admin: connected.admin,
            sandbox: connected.sandbox,
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
        let mut seal = FileSeal::new(&dir).known(self.references.scrubber.clone());
        if let Some(admin) = &self.admin {
            seal = seal.needle("admin", admin.duplicate());
        }
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
