//! The engine's port to the fake log.

use super::fleet::{LABELS, LAG, OURS, SHARDS};
use super::ports::Hands;
use keyroll::ports::{Result, UsageQuery, UsageSource};
use keyroll::rotation::{App, CallerCount, OwnRow, Shard, Span, Time, UsagePlan, UsageTable, Which};

impl UsageSource for Hands {
    async fn describe(&self) -> Result<UsagePlan> {
        Ok(self.read().await?.plan.usage.clone())
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        let world = &mut *Hands::read(self).await?;
        let (old, new) = (world.gateway.find(query.old), query.new.and_then(|n| world.gateway.find(n)));
        let which = |key: Option<usize>| match key {
            None => None,
            k if k == old => Some(Which::Old),
            k if k == new => Some(Which::New),
            _ => None,
        };
        let mut table = UsageTable { from: query.from, to: query.to, lag: span(LAG), reaches: Some(Time(0)), ..UsageTable::default() };
        let owner = if world.wrong_owner { "others" } else { "team" };
        let mut newest: [Option<i64>; SHARDS.len()] = [None; SHARDS.len()];
        let start = world.log.rows.partition_point(|r| r.at < query.from.0);
        // By key, then by label; the last is of rows that name nobody.
        let mut counts: [[CallerCount; LABELS.len() + 1]; 2] = Default::default();
        let mut own = Vec::new();
        let moved = world.moved();
        for row in world.log.rows.iter_mut().skip(start).filter(|r| r.visible <= world.now && r.at <= query.to.0) {
            table.rows += 1;
            newest[row.shard] = newest[row.shard].max(Some(row.at));
            #[cfg(feature = "bugs")]
            if row.own.is_some() && keyroll::bugs::on(keyroll::bugs::Bug::OwnCallsByPrefix) {
                row.known_to = self.me;
            }
            if row.label == OURS && row.known_to != self.me && row.own.as_ref().is_some_and(|id| query.own.contains_key(id)) {
                row.known_to = self.me;
            }
            if row.known_to == self.me {
                own.push(row);
                continue;
            }
            let by_key = match which(row.key) {
                Some(Which::Old) => &mut counts[0],
                Some(Which::New) => &mut counts[1],
                None => continue,
            };
            count(&mut by_key[usize::from(row.label).min(LABELS.len())], row.at, row.refused);
        }
        // More of our own rows than the newest of each kind nobody asks for, once nothing is left to be moved.
        let most = if moved { 4 } else { 28 };
        let mut kept = [0; 6];
        for row in own.iter().rev() {
            let key = which(row.key);
            let kind = 2 * key.map_or(0, |k| if k == Which::Old { 1 } else { 2 }) + usize::from(row.refused);
            kept[kind] += 1;
            if let (Some(id), true) = (&row.own, kept[kind] <= most) {
                table.own.insert(id.clone(), OwnRow { key, owner: owner.into(), refused: row.refused, at: Time(row.at) });
            }
        }
        for (by_key, callers) in counts.into_iter().zip([&mut table.old, &mut table.new]) {
            for (label, count) in by_key.into_iter().enumerate().filter(|(_, c)| c.total() > 0) {
                callers.insert(App::new(LABELS.get(label).copied().unwrap_or("")), count);
            }
        }
        table.shards = SHARDS.iter().zip(newest).map(|(name, n)| Shard { name: (*name).to_owned(), newest: n.map(Time) }).collect();
        Ok(table)
    }
}

fn count(c: &mut CallerCount, at: i64, refused: bool) {
    let last = c.last_used.max(c.last_refused);
    if let Some(last) = last {
        c.longest_gap = c.longest_gap.max(Time(at).since(last));
    }
    c.first = c.first.or(Some(Time(at)));
    if refused {
        c.refused += 1;
        c.last_refused = Some(Time(at));
    } else {
        c.accepted += 1;
        c.last_used = Some(Time(at));
    }
}

fn span(ms: i64) -> Span {
    Span(u64::try_from(ms).unwrap_or(0))
}
