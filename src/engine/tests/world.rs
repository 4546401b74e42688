//! Every port in one: it answers looks as it is told to, and can do nothing else.

use crate::engine::{Engine, Options, Unwatched};
use crate::ports::*;
use crate::rotation::*;
use crate::secret::{Fingerprint, FingerprintKey, SecretText};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

const T0: i64 = 1_700_000_000_000;

pub(super) fn at(s: i64) -> Time {
    Time(T0 + s * 1000)
}

pub(super) fn print(digit: &str) -> Fingerprint {
    Fingerprint::parse(&format!("hmac-sha256:{}", digit.repeat(64))).unwrap()
}

/// A run in its second session: the plan is the one that the kept records begin with; there are an old and a new key.
pub(super) fn run() -> Run {
    let first = include_str!("../../rotation/tests/records.jsonl").lines().next().unwrap();
    let mut run = Run::replay([&serde_json::from_str::<Record>(first).unwrap()]).unwrap();
    let marker = Marker::of(&run.id, 1);
    run.new = Some(NewKey { id: KeyId::new("new"), value: print("b"), enabled: true, off_by_others: false, marker });
    run.since.start = Some(Stamp { at: at(-100), mono: 0, boot: String::new() });
    run.effects = 4;
    run
}

pub(super) fn key(id: &str, marker: &str) -> KeyFacts {
    KeyFacts {
        id: KeyId::new(id),
        name: id.into(),
        marker: marker.into(),
        enabled: true,
        created_at: Some(at(0)),
        expires_at: None,
        last_used_at: None,
        owner: "o".into(),
        scope: Scope::new(),
    }
}

/// What the usage was asked about: both keys, from when, until when.
pub(super) type Inquiry = Option<(KeyId, Option<KeyId>, Time, Time)>;

/// What the world answers. Of several answers each is given once, the last for ever.
pub(super) struct World {
    pub(super) keys: RefCell<VecDeque<Vec<KeyFacts>>>,
    pub(super) listed: RefCell<Vec<Time>>,
    pub(super) slot: RefCell<VecDeque<Snapshot>>,
    pub(super) store: StoreCaps,
    pub(super) models: Vec<(ModelName, KeyId)>,
    pub(super) used: BTreeMap<App, CallerCount>,
    pub(super) asked: RefCell<Inquiry>,
    pub(super) supplied: Option<&'static str>,
    pub(super) down: Cell<bool>,
    /// Whether a child lives on, by how often it was asked about; ending it ends it, unless it is immortal.
    pub(super) child: RefCell<VecDeque<bool>>,
    pub(super) ended: RefCell<Vec<(bool, Time)>>,
    pub(super) immortal: bool,
    pub(super) wall: Cell<i64>,
    pub(super) mono: Cell<u64>,
    /// By what a sleep moves the clocks: wall time (none: until the instant), boot time.
    pub(super) naps: Option<(i64, u64)>,
    pub(super) sleeps: Cell<usize>,
    pub(super) lines: Vec<Record>,
    pub(super) prints: FingerprintKey,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            keys: RefCell::new([vec![key("old", ""), key("other", "")]].into()),
            listed: RefCell::new(vec![]),
            slot: RefCell::new([Snapshot::default()].into()),
            store: StoreCaps { swap: Swap::CompareAndSet, read_back: true, late_write: LateWrite::Impossible, shared_document: false },
            models: vec![],
            used: BTreeMap::new(),
            asked: RefCell::new(None),
            supplied: None,
            down: Cell::new(false),
            child: RefCell::new([false].into()),
            ended: RefCell::new(vec![]),
            immortal: false,
            wall: Cell::new(T0),
            mono: Cell::new(1_000_000),
            naps: None,
            sleeps: Cell::new(0),
            lines: vec![],
            prints: FingerprintKey::from_bytes(&[7; 32]).ok().unwrap(),
        }
    }

    pub(super) fn lists(mut self, listings: &[&[KeyFacts]]) -> Self {
        self.keys = RefCell::new(listings.iter().map(|l| l.iter().cloned().chain([key("old", ""), key("other", "")]).collect()).collect());
        self
    }

    pub(super) fn shows(mut self, snapshots: &[Snapshot]) -> Self {
        self.slot = RefCell::new(snapshots.iter().cloned().collect());
        self
    }

    fn answer<T: Clone>(&self, queue: &RefCell<VecDeque<T>>) -> Result<T> {
        if self.down.get() {
            return Err(PortError::Unreachable { system: "it".into(), why: "down".into(), may_have_happened: false });
        }
        let mut queue = queue.borrow_mut();
        let first = queue.front().cloned().unwrap();
        if queue.len() > 1 {
            queue.pop_front();
        }
        Ok(first)
    }
}

/// The work of a future that never waits.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("this world never waits"),
    }
}

/// A session over this run in this world.
pub(super) fn engine<'a>(world: &'a mut World, watched: &'a mut Unwatched, run: Run) -> Engine<'a, World, Unwatched> {
    now(Engine::open(world, watched, run, Options::default(), Holder::default(), false)).unwrap()
}

fn never<T>() -> Result<T> {
    panic!("recovery only looks")
}

impl Gateway for World {
    async fn identity(&self) -> Result<GatewayIdentity> {
        never()
    }
    async fn capabilities(&self) -> Result<GatewayCaps> {
        never()
    }
    async fn now(&self) -> Result<Time> {
        Ok(Time(self.wall.get() + 7_000))
    }
    async fn list(&self) -> Result<Vec<KeyFacts>> {
        self.listed.borrow_mut().push(Time(self.wall.get()));
        self.answer(&self.keys)
    }
    async fn mint(&self, _: MintRequest<'_>) -> Result<Minted> {
        never()
    }
    async fn set_enabled(&self, _: &KeyId, _: bool) -> Result<()> {
        never()
    }
    async fn delete(&self, _: &KeyId) -> Result<()> {
        never()
    }
    async fn mark(&self, _: &KeyId, _: &Marker) -> Result<()> {
        never()
    }
    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        Ok(self.models.clone())
    }
    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        never()
    }
    async fn repoint(&self, _: &ModelName, _: &KeyId, _: &KeyId) -> Result<()> {
        never()
    }
}

impl Prober for World {
    async fn call(&self, _: &Endpoint, _: &Probe, _: &SecretText, _: &RequestId) -> CallAnswer {
        panic!("recovery only looks")
    }
    async fn identify(&self, _: &SecretText, _: &RequestId) -> Result<Option<KeyId>> {
        never()
    }
}

impl SecretStore for World {
    fn caps(&self) -> StoreCaps {
        self.store.clone()
    }
    async fn observe(&self) -> Result<Snapshot> {
        self.answer(&self.slot)
    }
    async fn stage(&self, _: &RunId, _: &SecretText) -> Result<(Option<VersionId>, Snapshot)> {
        never()
    }
    async fn promote(&self, _: &RunId, _: &str) -> Result<Snapshot> {
        never()
    }
    async fn demote(&self, _: &RunId, _: &str, _: &SecretText) -> Result<Snapshot> {
        never()
    }
    async fn fence(&self, _: &str) -> Result<Snapshot> {
        never()
    }
    async fn drop_pending(&self, _: &RunId) -> Result<Snapshot> {
        never()
    }
    async fn retire(&self, _: &RunId, _: Retire) -> Result<Snapshot> {
        never()
    }
    async fn read(&self, _: crate::ports::Place) -> Result<Option<SecretText>> {
        never()
    }
}

impl UsageSource for World {
    async fn describe(&self) -> Result<UsagePlan> {
        never()
    }
    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        *self.asked.borrow_mut() = Some((query.old.clone(), query.new.cloned(), query.from, query.to));
        Ok(UsageTable { new: self.used.clone(), ..UsageTable::default() })
    }
}

impl Consumers for World {
    async fn begin_reload(&self, _: &App) -> Result<Option<Child>> {
        never()
    }
    async fn finish_reload(&self, _: &App) -> Result<()> {
        never()
    }
    async fn acknowledged(&self, _: &App) -> Result<Option<Ack>> {
        never()
    }
    async fn surviving(&self, _: &Child, end: bool) -> Result<bool> {
        self.ended.borrow_mut().push((end, Time(self.wall.get())));
        if end && !self.immortal {
            return Ok(false);
        }
        self.answer(&self.child)
    }
}

impl Approver for World {
    async fn ask(&self, _: &Question) -> Result<Option<Answer>> {
        never()
    }
}

impl Notifier for World {
    async fn tell(&self, _: &Notice) -> Result<()> {
        Ok(())
    }
}

impl Clock for World {
    fn now(&self) -> Stamp {
        Stamp { at: Time(self.wall.get()), mono: self.mono.get(), boot: "boot".into() }
    }
    async fn sleep_until(&self, until: Time) {
        self.sleeps.set(self.sleeps.get() + 1);
        let left = until.0 - self.wall.get();
        let (wall, mono) = self.naps.unwrap_or((left, u64::try_from(left).unwrap_or(0)));
        self.wall.set(self.wall.get() + wall);
        self.mono.set(self.mono.get() + mono);
    }
}

impl Journal for World {
    fn append(&mut self, record: &Record) -> std::result::Result<u64, AppendError> {
        self.lines.push(record.clone());
        Ok(1)
    }
    fn head(&self) -> String {
        "h".into()
    }
}

impl Lock for World {
    fn frozen(&self) -> Option<String> {
        None
    }
    fn asked_to_stop(&self) -> bool {
        false
    }
    fn asked_to_turn(&self) -> Option<(String, String)> {
        None
    }
    fn release(&self) {}
}

impl Seal for World {
    fn scan(&self, _: &Run, _: &[(&str, &SecretText)]) -> std::result::Result<Sealed, SealError> {
        panic!("recovery only looks")
    }
    fn seal(&self, _: &Run, _: &[(&str, &SecretText)]) -> std::result::Result<Sealed, SealError> {
        panic!("recovery only looks")
    }
}

impl Ports for World {
    type Gateway = Self;
    type Prober = Self;
    type Store = Self;
    type Usage = Self;
    type Consumers = Self;
    type Approver = Self;
    type Notifier = Self;
    type Clock = Self;
    type Journal = Self;
    type Lock = Self;
    type Seal = Self;

    fn gateway(&self) -> &Self {
        self
    }
    fn prober(&self) -> &Self {
        self
    }
    fn slot(&self, slot: SlotNo) -> Option<&Self> {
        (slot.0 < 2).then_some(self)
    }
    fn usage(&self) -> &Self {
        self
    }
    fn consumers(&self) -> &Self {
        self
    }
    fn approver(&self) -> &Self {
        self
    }
    fn notifier(&self) -> &Self {
        self
    }
    fn clock(&self) -> &Self {
        self
    }
    fn journal(&mut self) -> &mut Self {
        self
    }
    fn lock(&self) -> &Self {
        self
    }
    fn seal(&self) -> &Self {
        self
    }
    fn fingerprints(&self) -> &FingerprintKey {
        &self.prints
    }
    fn credentials(&self) -> Vec<(String, Fingerprint)> {
        vec![]
    }
    async fn supplied(&self, _: Which) -> Result<Option<SecretText>> {
        Ok(self.supplied.map(SecretText::new))
    }
}
