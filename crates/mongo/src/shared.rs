//! What all operations of one instance share: its ports, its memory, its queues.

use std::sync::Arc;

use seqline_core::clock::{Clock, Entropy};
use seqline_core::id::{Epoch, TimelineId};
use seqline_core::watch::Watchers;
use tokio::runtime::Handle;

use crate::aside::Aside;
use crate::claims::Claims;
use crate::counts::Counts;
use crate::db::Db;
use crate::hints::{Hints, Notices};
use crate::joined::Joined;
use crate::life::Life;
use crate::marks::Marks;
use crate::options::Options;
use crate::queue::Lanes;
use crate::reach::Reach;
use crate::tails::Tails;
use crate::turns::Turns;
use crate::uptime::Uptime;
use crate::watched::Watched;

/// Everything a store is given from outside.
#[derive(Clone)]
pub struct Ports {
    /// The time that messages carry.
    pub clock: Arc<dyn Clock>,
    /// Random bits for epochs, leases and pauses.
    pub entropy: Arc<dyn Entropy>,
    /// The time that deadlines are measured by.
    pub uptime: Arc<dyn Uptime>,
    /// Tails that other instances knew.
    pub hints: Arc<dyn Hints>,
    /// Tells other instances what has grown.
    pub notices: Arc<dyn Notices>,
}

pub(crate) struct Shared {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub uptime: Arc<dyn Uptime>,
    pub hints: Arc<dyn Hints>,
    pub notices: Arc<dyn Notices>,
    pub options: Options,
    pub epoch: Epoch,
    /// Names this instance as the holder of leases.
    pub holder: String,
    pub tails: Tails,
    pub marks: Marks,
    pub lanes: Lanes,
    pub turns: Turns,
    pub claims: Claims,
    pub watchers: Watchers,
    pub watched: Watched,
    pub life: Arc<Life>,
    pub counts: Counts,
    pub aside: Aside,
    pub reach: Reach,
    /// Where everything runs that must not end with a caller.
    pub runtime: Handle,
}

impl Shared {
    /// Called within the runtime on which everything shall run.
    pub fn new(db: Arc<dyn Db>, ports: Ports, options: Options, epoch: Epoch) -> Shared {
        let Ports { clock, entropy, uptime, hints, notices } = ports;
        let (life, runtime) = (Arc::<Life>::default(), Handle::current());
        let joined = Joined::new(
            db,
            Arc::clone(&uptime),
            Arc::clone(&life),
            options.command_time,
            runtime.clone(),
        );
        Shared {
            db: Arc::new(joined),
            holder: format!("{:016x}{:016x}", entropy.random(), entropy.random()),
            clock,
            entropy,
            uptime,
            hints,
            notices,
            epoch,
            tails: Tails::new(options.tails_max, options.hint_time),
            marks: Marks::default(),
            lanes: Lanes::new(&options),
            turns: Turns::default(),
            claims: Claims::default(),
            watchers: Watchers::new(),
            watched: Watched::default(),
            life,
            counts: Counts::new(),
            aside: Aside::new(),
            reach: Reach::new(),
            options,
            runtime,
        }
    }

    /// Wakes whoever waits here or at another instance for one of `timelines`, which have grown.
    pub fn grown(&self, timelines: Vec<TimelineId>) {
        if self.watchers.any() {
            timelines.iter().for_each(|timeline| self.watchers.wake(&timeline.key()));
        }
        self.notices.publish(timelines);
    }
}
