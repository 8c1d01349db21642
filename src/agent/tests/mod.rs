//! The whole agent over the fake Engine: each test is a story in terms of what the store and the Engine show.

mod balancer;
mod crashes;
mod diagnosis;
mod fakes;
mod first_contact;
mod guard;
mod outages;
mod ownership;
mod random;
mod removal;
mod resources;
mod rig;
mod startup;
mod stored;

use crate::model::{Millis, ServiceSpec};

fn quick(spec: &mut ServiceSpec) {
    spec.rollout.drain = Millis::secs(20);
    spec.stop.grace = Millis::secs(10);
}
