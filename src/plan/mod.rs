//! Policy + inventory → plan, or refusals. Pure: the same inputs give the same plan, byte for byte.
//!
//! | file | idea |
//! |---|---|
//! | `pick` | which key is meant |
//! | `gates` | the checks that every rotation is judged by |
//! | `provider` | what is different about a provider key |
//! | `timing` | every length of time, and where it comes from |
//! | `possible` | whether a policy can be honoured here |
//! | `refuse` | what cannot be honoured, and the nearest policy that can |
//! | `build` | the plan itself |
//! | `text` | the plan for a reader |
//! | `stale` | what a saved plan and the world may differ in |

mod build;
mod gates;
mod kubernetes;
mod pick;
mod possible;
mod provider;
mod refuse;
mod stale;
mod text;
mod timing;
mod windows;

pub use build::{Facts, build};
pub use gates::standard_gates;
pub use pick::{Selector, pick};
pub use refuse::Refusal;
pub use stale::differences;
pub use text::render;
