//! One layer of peeled content, and the way back from a place in it to a place in the file.

use std::borrow::Cow;

/// An anchor is kept at least this many bytes apart; positions between two are estimated.
const ANCHOR_EVERY: usize = 256;
/// Separates decoded runs; no alphabet has it.
const GAP: u8 = 0xff;

/// Content after some layers were taken off.
pub(super) struct View<'a> {
    /// The bytes of this layer.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// The layers taken off, the outer first: `base64 > gzip`; empty for the file itself.
    pub(crate) layers: String,
    /// How many layers count towards the limit.
    pub(crate) depth: usize,
    /// Pairs of (position here, position in the file), in order.
    anchors: Vec<(usize, usize)>,
}

impl<'a> View<'a> {
    /// The file itself.
    pub(crate) fn top(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), layers: String::new(), depth: 0, anchors: Vec::new() }
    }

    /// About where in the file the byte at `position` came from.
    pub(crate) fn in_file(&self, position: usize) -> usize {
        let after = self.anchors.partition_point(|(here, _)| *here <= position);
        match after.checked_sub(1).and_then(|index| self.anchors.get(index)) {
            Some((here, file)) => file + (position - here),
            None => position,
        }
    }
}

/// Builds the next layer.
pub(super) struct Builder<'p> {
    parent: &'p View<'p>,
    bytes: Vec<u8>,
    anchors: Vec<(usize, usize)>,
}

impl<'p> Builder<'p> {
    /// Begins an empty layer under `parent`.
    pub(crate) fn under(parent: &'p View<'p>) -> Self {
        Self { parent, bytes: Vec::new(), anchors: Vec::new() }
    }

    /// Adds one byte that came from `source` in the parent.
    pub(crate) fn push(&mut self, byte: u8, source: usize) {
        self.anchor(source);
        self.bytes.push(byte);
    }

    /// Adds bytes that came from `source` in the parent.
    pub(crate) fn extend(&mut self, bytes: &[u8], source: usize) {
        for (index, chunk) in bytes.chunks(ANCHOR_EVERY).enumerate() {
            self.anchor(source + index * ANCHOR_EVERY);
            self.bytes.extend_from_slice(chunk);
        }
    }

    /// Ends a run, so that what follows is not read together with it.
    pub(crate) fn gap(&mut self) {
        if self.bytes.last().is_some_and(|last| *last != GAP) {
            self.bytes.push(GAP);
            // The next byte comes from elsewhere and gets an anchor of its own.
            self.anchors.push((self.bytes.len(), usize::MAX));
        }
    }

    /// The finished layer, or none if nothing was decoded. `cost` is what it adds to the depth.
    pub(crate) fn done(mut self, name: &str, cost: usize) -> Option<View<'static>> {
        let decoded = self.bytes.iter().any(|byte| *byte != GAP);
        if !decoded {
            return None;
        }
        self.anchors.retain(|(_, file)| *file != usize::MAX);
        let above = &self.parent.layers;
        let layers = if above.is_empty() { name.to_owned() } else { format!("{above} > {name}") };
        let depth = self.parent.depth + cost;
        Some(View { bytes: Cow::Owned(self.bytes), layers, depth, anchors: self.anchors })
    }

    fn anchor(&mut self, source: usize) {
        let here = self.bytes.len();
        match self.anchors.last_mut() {
            Some((place, file)) if *file == usize::MAX && *place == here => *file = self.parent.in_file(source),
            Some((place, _)) if here - *place < ANCHOR_EVERY => {}
            _ => {
                let file = self.parent.in_file(source);
                self.anchors.push((here, file));
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_back_to_the_file() {
        let file = vec![b'.'; 5000];
        let top = View::top(&file);
        let mut outer = Builder::under(&top);
        outer.extend(b"first", 100);
        outer.gap();
        outer.extend(&[b'x'; 600], 2000);
        let outer = outer.done("outer", 1).unwrap();
        assert_eq!((outer.in_file(0), outer.in_file(4), outer.in_file(6), outer.in_file(500)), (100, 104, 2000, 2494));
        let mut inner = Builder::under(&outer);
        inner.push(b'y', 506);
        let inner = inner.done("inner", 1).unwrap();
        assert_eq!((inner.in_file(0), inner.layers.as_str(), inner.depth), (2500, "outer > inner", 2));
        let mut empty = Builder::under(&top);
        empty.gap();
        assert!(empty.done("empty", 1).is_none());
    }
}
