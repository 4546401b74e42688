//! stub
use crate::rotation::*;
/// x
pub fn judge(_run: &Run, _point: &Point, _reading: &Reading) -> Vec<Judged> {
    Vec::new()
}
