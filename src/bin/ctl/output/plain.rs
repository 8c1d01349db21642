//! Text of others made safe to show: a container's log or a health answer must not move the reader's cursor. Pure.

pub(crate) use coxswain::model::sanitize as plain;
