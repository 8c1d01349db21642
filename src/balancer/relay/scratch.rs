//! The buffer through which bytes pass.

use std::cell::RefCell;
use std::rc::Rc;

use crate::balancer::limits::TCP_BUFFER_BYTES;

/// A buffer for bytes that are passed on at once, one for each thread.
pub(in crate::balancer) type RelayScratch = Rc<RefCell<Box<[u8]>>>;

pub(in crate::balancer) fn scratch() -> RelayScratch {
    Rc::new(RefCell::new(vec![0; TCP_BUFFER_BYTES].into_boxed_slice()))
}
