//! The engine's ports over the fake world.

use super::acts::{Act, Answer as Changed};
use super::chain::Pen;
use super::death::Crash;
use super::fleet::{ENDPOINTS, LABELS};
use super::gateway::State;
use super::scenarios::Prepared;
use super::store::Store;
use super::world::{CALL, Late, Listing, World};
use keyroll::ports::{
    Answer, Approver, CallAnswer, Clock, Consumers, Gateway, Lock, MintRequest, Minted, Notice, Notifier, PortError, Ports, Prober,
    Question, Result, Seal, SealError, Sealed,
};
use keyroll::rotation::{
    Ack, App, CallClass, Child, Endpoint, GatewayCaps, GatewayIdentity, KeyFacts, KeyId, Marker, Mint, ModelName, Probe, Proof, RequestId,
    Run, SlotNo, Stamp, Time, Which,
};
use keyroll::secret::{Fingerprint, FingerprintKey, SecretText};
use std::cell::{RefCell, RefMut};
use std::rc::Rc;

/// One session's hands.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) me: u32,
}

/// All ports of one session.
pub(crate) struct SimPorts<'p> {
    pub(crate) hands: Hands,
    pub(crate) stores: Vec<Store>,
    pub(crate) pen: Pen<'p>,
}

impl<'p> SimPorts<'p> {
    pub(crate) fn new(prepared: &'p Prepared, world: &Rc<RefCell<World>>, me: u32) -> Self {
        let hands = Hands { world: Rc::clone(world), me };
        let (slots, last) = {
            let w = world.borrow();
            (w.slots.len(), w.journal.end.seq())
        };
        let stores = (0..slots).map(|slot| Store::new(&hands, slot)).collect();
        Self { stores, pen: Pen { prepared, world: Rc::clone(world), me, last }, hands }
    }
}

fn lost(may_have_happened: bool) -> PortError {
    PortError::Unreachable { system: "the fake".into(), why: "no answer".into(), may_have_happened }
}

impl Hands {
    fn dead(&self) -> bool {
        self.world.borrow().death.dead
    }

    /// The process ends here: nobody polls again.
    async fn end(&self) -> ! {
        std::future::pending::<()>().await;
        unreachable!("a pending future does not become ready")
    }

    /// A call that changes nothing.
    pub(crate) async fn read(&self) -> Result<RefMut<'_, World>> {
        if self.dead() {
            self.end().await;
        }
        let mut world = self.world.borrow_mut();
        world.tick();
        let per_mille = world.faults.unread;
        if world.rng.chance(per_mille) { Err(lost(false)) } else { Ok(world) }
    }

    /// A call that changes something.
    pub(crate) async fn send(&self, act: Act) -> Changed {
        if self.dead() {
            self.end().await;
        }
        let answer = {
            let world = &mut *self.world.borrow_mut();
            world.tick();
            self.may_act(world);
            if matches!(act, Act::Delete(_)) && !world.calm && world.rng.chance(30) {
                // A name resolves to another gateway from this instant on.
                let until = world.now + world.rng.span(300, 2_000);
                world.listing = Some((Listing::Foreign, until));
            }
            if world.strikes(Crash::BeforeCall) {
                let per_mille = world.faults.late;
                // It had left the process already.
                if world.rng.chance(per_mille * 10) {
                    Self::later(world, act);
                }
                None
            } else {
                let answer = Self::dispatch(world, act);
                let short = world.rng.span(0, 8);
                world.advance(world.now + short);
                if world.strikes(Crash::AfterCall) { None } else { Some(answer) }
            }
        };
        match answer {
            Some(answer) => answer,
            None => self.end().await,
        }
    }

    fn dispatch(world: &mut World, act: Act) -> Changed {
        let f = world.faults;
        let roll = u32::try_from(world.rng.below(1000)).unwrap_or(0);
        let looked = world.looked;
        if world.lying() == Some(Listing::Foreign) && matches!(act, Act::Enable(..) | Act::Delete(_) | Act::Mark(..) | Act::Repoint(..)) {
            return Err(super::acts::conflict("no such key here"));
        }
        if roll < f.lost {
            // Conflicts answer, too, and that answer is lost as well.
            let _ = world.apply(&act, looked, false);
            Err(lost(true))
        } else if roll < f.lost + f.late {
            Self::later(world, act);
            let wait = world.rng.span(0, CALL / 2);
            world.advance(world.now + wait);
            Err(lost(true))
        } else if roll < f.lost + f.late + f.dropped {
            Err(lost(true))
        } else if roll < f.lost + f.late + f.dropped + f.unsent {
            Err(lost(false))
        } else if roll < f.lost + f.late + f.dropped + f.unsent + f.refused {
            Err(PortError::Refused { system: "the fake".into(), action: "change".into(), why: "it said no".into() })
        } else {
            world.apply(&act, looked, false)
        }
    }

    fn later(world: &mut World, act: Act) {
        let at = world.now + world.rng.span(0, CALL - 100);
        let looked = world.looked;
        world.tell(|| format!("on its way: {act:?}"));
        world.late.push(Late { at, act, looked });
    }

    /// Only the youngest process of the run, with its claim held, may change anything.
    fn may_act(&self, world: &mut World) {
        if self.me < world.youngest {
            world.judge.broken(world.now, 6, "a process changed something after another had taken over");
        }
        if !world.claimed {
            world.judge.broken(world.now, 6, "something was changed without the claim");
        }
        if world.trail.open.is_none() {
            world.judge.broken(world.now, 2, "something was changed without an intent in the journal");
        }
    }
}

impl Gateway for Hands {
    async fn identity(&self) -> Result<GatewayIdentity> {
        let world = self.read().await?;
        let mut identity = world.plan.gateway.identity.clone();
        if world.lying() == Some(Listing::Foreign) {
            identity.tenant = "another".into();
        }
        Ok(identity)
    }

    async fn capabilities(&self) -> Result<GatewayCaps> {
        Ok(self.read().await?.plan.gateway.caps.clone())
    }

    async fn now(&self) -> Result<Time> {
        Ok(Time(self.read().await?.now))
    }

    async fn list(&self) -> Result<Vec<KeyFacts>> {
        let mut world = self.read().await?;
        let lying = world.lying();
        let newest = world.gateway.keys.len() - 1;
        let mut rows = Vec::with_capacity(4);
        for i in 0..world.gateway.keys.len() {
            let hidden = match lying {
                Some(Listing::Short) => i == newest || i == super::scenarios::SENTINEL,
                Some(Listing::Stale) => i == newest && i != world.old && i != super::scenarios::SENTINEL,
                Some(Listing::Foreign) => true,
                Some(Listing::Twice | Listing::Over) | None => false,
            };
            if world.gateway.keys[i].state() != State::Gone && !hidden {
                rows.push(world.gateway.facts(i));
            }
        }
        match lying {
            Some(Listing::Twice) => rows.extend(rows.clone()),
            Some(Listing::Over) => {
                let mut other = world.gateway.facts(super::scenarios::SENTINEL);
                other.id = KeyId::new("key-of-others");
                other.marker = format!("{}:old", Marker::of(&world.run, 1));
                rows.push(other);
            }
            Some(Listing::Short | Listing::Stale | Listing::Foreign) => {}
            None => world.looked = world.now,
        }
        Ok(rows)
    }

    async fn mint(&self, request: MintRequest<'_>) -> Result<Minted> {
        let (value, broad) = {
            let world = &mut *self.world.borrow_mut();
            let per_mille = world.faults.broad;
            (request.value.map(|v| world.values.number(v.expose())), world.rng.chance(per_mille))
        };
        let made = self.send(Act::Mint { marker: request.marker.clone(), value, broad }).await?;
        let world = self.world.borrow();
        let key = &world.gateway.keys[made.ok_or_else(|| lost(true))?];
        Ok(Minted { id: key.id.clone(), value: world.values.secret(key.value), created_at: Some(Time(key.created)) })
    }

    async fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<()> {
        self.send(Act::Enable(id.clone(), enabled)).await.map(|_| ())
    }

    async fn delete(&self, id: &KeyId) -> Result<()> {
        self.send(Act::Delete(id.clone())).await.map(|_| ())
    }

    async fn mark(&self, id: &KeyId, marker: &Marker) -> Result<()> {
        self.send(Act::Mark(id.clone(), marker.clone())).await.map(|_| ())
    }

    async fn models(&self) -> Result<Vec<(ModelName, KeyId)>> {
        let world = self.read().await?;
        Ok(world.gateway.models.iter().map(|m| (m.name.clone(), world.gateway.keys[m.key()].id.clone())).collect())
    }

    async fn projection(&self) -> Result<Vec<(Endpoint, ModelName, KeyId)>> {
        let world = self.read().await?;
        let mut rows = Vec::new();
        for (r, endpoint) in ENDPOINTS.iter().enumerate() {
            for m in &world.gateway.models {
                let key = m.at_replica(r, world.now);
                rows.push((Endpoint::new(*endpoint), m.name.clone(), world.gateway.keys[key].id.clone()));
            }
        }
        Ok(rows)
    }

    async fn repoint(&self, model: &ModelName, from: &KeyId, to: &KeyId) -> Result<()> {
        self.send(Act::Repoint(model.clone(), from.clone(), to.clone())).await.map(|_| ())
    }
}

impl Prober for Hands {
    async fn call(&self, endpoint: &Endpoint, _: &Probe, secret: &SecretText, request: &RequestId) -> CallAnswer {
        let Ok(mut world) = self.read().await else { return CallAnswer { class: CallClass::Down, status: 0 } };
        let replica = ENDPOINTS.iter().position(|e| *e == endpoint.as_str()).unwrap_or(0);
        let value = world.values.number(secret.expose());
        let stubborn = if world.gateway.stubborn == Some(replica) { 600 } else { 0 };
        let per_mille = world.faults.probes + stubborn;
        if world.rng.chance(per_mille) {
            return CallAnswer { class: CallClass::UpstreamFault, status: 503 };
        }
        if world.probe(replica, value, request) {
            CallAnswer { class: CallClass::Accepted, status: 200 }
        } else {
            CallAnswer { class: CallClass::Refused, status: 401 }
        }
    }

    async fn identify(&self, secret: &SecretText, request: &RequestId) -> Result<Option<KeyId>> {
        let mut world = self.read().await?;
        let value = world.values.number(secret.expose());
        let accepted = world.probe(0, value, request);
        Ok(world.gateway.by_value(value).filter(|_| accepted).map(|k| world.gateway.keys[k].id.clone()))
    }
}

impl Consumers for Hands {
    async fn begin_reload(&self, app: &App) -> Result<Option<Child>> {
        self.send(Act::Reload(app.clone())).await?;
        Ok(Some(Child { pid: 77, start: None }))
    }

    async fn finish_reload(&self, _: &App) -> Result<()> {
        if self.dead() {
            self.end().await;
        }
        let world = &mut *self.world.borrow_mut();
        let to = world.child_until.max(world.now);
        world.advance(to);
        Ok(())
    }

    async fn acknowledged(&self, app: &App) -> Result<Option<Ack>> {
        let world = Hands::read(self).await?;
        // A label that several pods share is as far as its slowest pod.
        let pod = world.pods.iter().filter(|p| LABELS[usize::from(p.label)] == app.as_str()).min_by_key(|p| p.loaded_at);
        Ok(pod.map(|p| Ack { app: app.clone(), loaded_at: Time(p.loaded_at), holds: Some(world.values.print(p.holds)), key: None }))
    }

    async fn surviving(&self, _: &Child, end: bool) -> Result<bool> {
        let mut world = Hands::read(self).await?;
        if end && world.child_until > world.now {
            world.child_until = world.now;
            for pod in &mut world.pods {
                pod.reload_at = None;
            }
        }
        Ok(world.child_until > world.now)
    }
}

impl Approver for Hands {
    async fn ask(&self, _: &Question) -> Result<Option<Answer>> {
        let world = Hands::read(self).await?;
        let yes = world.approver.is_some_and(|from| world.now >= from);
        Ok(yes.then(|| Answer { by: "sec".into(), yes: true, why: String::new(), proof: Proof::Asserted }))
    }
}

impl Notifier for Hands {
    async fn tell(&self, _: &Notice) -> Result<()> {
        if self.dead() {
            self.end().await;
        }
        Ok(())
    }
}

impl Clock for Hands {
    fn now(&self) -> Stamp {
        let world = self.world.borrow();
        let mono = u64::try_from(world.now - super::world::EPOCH).unwrap_or(0);
        Stamp { at: Time(world.now + world.wall), mono, boot: "boot".into() }
    }

    async fn sleep_until(&self, at: Time) {
        if self.dead() {
            self.end().await;
        }
        let mut world = self.world.borrow_mut();
        world.restless();
        let to = (at.0 - world.wall).clamp(world.now + 1, world.now + 5_000);
        world.advance(to);
        world.people_act();
    }
}

impl Lock for Hands {
    fn frozen(&self) -> Option<String> {
        None
    }

    fn asked_to_stop(&self) -> bool {
        false
    }

    fn asked_to_turn(&self) -> Option<(String, String)> {
        let world = self.world.borrow();
        world.turn_at.is_some_and(|at| world.now >= at).then(|| ("ops".to_owned(), "asked".to_owned()))
    }

    fn release(&self) {
        let world = &mut *self.world.borrow_mut();
        if world.death.dead {
            return;
        }
        world.claimed = false;
        if !world.trail.finished {
            world.judge.broken(world.now, 6, "the claim was given up before the end");
        }
    }
}

impl Hands {
    fn write(&self, run: &Run, needles: &[(&str, &SecretText)], seal: bool) -> std::result::Result<Sealed, SealError> {
        let world = &mut *self.world.borrow_mut();
        let gone = SealError::Storage { why: "the process is dead".into() };
        if world.death.dead {
            return Err(gone);
        }
        self.may_act(world);
        if world.strikes(Crash::BeforeCall) {
            return Err(gone);
        }
        let mut wanted = vec![world.gateway.keys[world.old].value];
        // What only a dead process knew, nobody can look for; that it may go unsearched is said in words by the plan.
        let lost = world.trail.asked_once && !run.value_at_hand;
        wanted.extend(run.new.as_ref().filter(|_| !lost).and_then(|n| world.gateway.find(&n.id)).map(|k| world.gateway.keys[k].value));
        // The engine says by label which needles it has; the oracle looks whether that is true.
        let labels = needles.iter().any(|(l, _)| *l == "old") && (wanted.len() < 2 || needles.iter().any(|(l, _)| *l == "new"));
        #[cfg(feature = "bugs")]
        let labels = labels || keyroll::bugs::on(keyroll::bugs::Bug::MissingNeedleIsZeroHits);
        if !labels && !world.scanned {
            return Err(SealError::MissingNeedle { needle: "a value".into() });
        }
        let all = wanted.iter().all(|w| needles.iter().any(|(_, n)| world.values.number(n.expose()) == *w));
        if !all && !world.scanned {
            world.judge.broken(world.now, 4, "the payload was scanned without a value that it must not hold");
        }
        if seal {
            world.sealed = true;
        } else {
            world.scanned = true;
        }
        if world.strikes(Crash::AfterCall) {
            return Err(gone);
        }
        Ok(Sealed { digest: "00".into(), place: "bundle".into() })
    }
}

impl Seal for Hands {
    fn scan(&self, run: &Run, needles: &[(&str, &SecretText)]) -> std::result::Result<Sealed, SealError> {
        self.write(run, needles, false)
    }

    fn seal(&self, run: &Run, needles: &[(&str, &SecretText)]) -> std::result::Result<Sealed, SealError> {
        self.write(run, needles, true)
    }
}

impl<'p> Ports for SimPorts<'p> {
    type Gateway = Hands;
    type Prober = Hands;
    type Store = Store;
    type Usage = Hands;
    type Consumers = Hands;
    type Approver = Hands;
    type Notifier = Hands;
    type Clock = Hands;
    type Journal = Pen<'p>;
    type Lock = Hands;
    type Seal = Hands;

    fn gateway(&self) -> &Hands {
        &self.hands
    }
    fn prober(&self) -> &Hands {
        &self.hands
    }
    fn slot(&self, slot: SlotNo) -> Option<&Store> {
        self.stores.get(usize::from(slot.0))
    }
    fn usage(&self) -> &Hands {
        &self.hands
    }
    fn consumers(&self) -> &Hands {
        &self.hands
    }
    fn approver(&self) -> &Hands {
        &self.hands
    }
    fn notifier(&self) -> &Hands {
        &self.hands
    }
    fn clock(&self) -> &Hands {
        &self.hands
    }
    fn journal(&mut self) -> &mut Pen<'p> {
        &mut self.pen
    }
    fn lock(&self) -> &Hands {
        &self.hands
    }
    fn seal(&self) -> &Hands {
        &self.hands
    }
    fn fingerprints(&self) -> &FingerprintKey {
        &self.pen.prepared.key
    }
    fn credentials(&self) -> Vec<(String, Fingerprint)> {
        let world = self.hands.world.borrow();
        let admin = world.admin_is.map_or(super::scenarios::ADMIN_VALUE, |k| world.gateway.keys[k].value);
        vec![("admin".to_owned(), world.values.print(admin))]
    }
    async fn supplied(&self, which: Which) -> Result<Option<SecretText>> {
        let mut world = Hands::read(&self.hands).await?;
        let issued = world.plan.gateway.caps.mint == Mint::Issued;
        let number = match which {
            // Asked again, the issuer makes another one.
            Which::New if issued => Some(world.values.fresh()),
            Which::New => world.supplied,
            Which::Old => (issued || world.supplied.is_some()).then(|| world.gateway.keys[world.old].value),
        };
        Ok(number.map(|n| world.values.secret(n)))
    }
}
