//! Fleet: one engine for each provider of a run, which the driver runs as one.
//!
//! Each engine has the pace, the outages and the refusals of its own provider, so that one provider that is out holds back only its own
//! jobs. The fleet hands out the jobs of the one ledger, and keeps what is shared: the limits on money, failures and jobs.

mod merge;

use std::collections::{BTreeMap, HashMap};

use crate::engine::Engine;
use crate::engine::dispatch::sooner;
use crate::engine::elsewhere::Elsewhere;
use crate::engine::job_limit::JobLimit;
use crate::engine::turn::{Action, Input, StopReason};
use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::model::more::More;
use crate::model::phase::{JobRecord, Phase};
use crate::model::request::Request;
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;

/// Maximum number of jobs in memory that wait for submission, of all providers together. While one provider is out, jobs of others that
/// come after so many of its own in the manifest wait too.
const BACKLOG_MAX: usize = 10_000;

/// Engines of the providers of a run.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    /// Engine of each provider that rows name.
    by_name: BTreeMap<String, usize>,
    /// Engine of each job in memory.
    owners: HashMap<JobId, usize>,
    /// Jobs to load, if an engine has asked for some and there was no room yet.
    wanted: Option<usize>,
    is_loading: bool,
    part: JobLimit,
}

#[derive(Debug)]
struct Member {
    /// Name of the provider, for messages.
    name: String,
    engine: Engine,
    is_last: bool,
}

/// Action of one provider, by the number of its engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FleetAction {
    /// Number of the engine, from 0. The first one is that of the run's own provider.
    pub member: usize,
    /// Work for the driver.
    pub action: Action,
}

/// Result of one step of all engines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FleetTurn {
    /// Events to record before any action begins.
    pub events: Vec<Event>,
    /// Actions to perform.
    pub actions: Vec<FleetAction>,
    /// Moment of the next step if no input arrives earlier; `None` means no such moment.
    pub wake_at: Option<Moment>,
    /// Says whether the run is over.
    pub is_last: bool,
}

impl From<Engine> for Fleet {
    fn from(engine: Engine) -> Self {
        Self::new(engine, None, String::new())
    }
}

impl Fleet {
    /// Creates a fleet with the engine of the run's own provider. With further engines, `jobs_max` limits the jobs of all of them, and the
    /// engines have no such limit of their own.
    pub fn new(engine: Engine, jobs_max: Option<u64>, name: String) -> Self {
        Self {
            members: vec![Member { name, engine, is_last: false }],
            by_name: BTreeMap::new(),
            owners: HashMap::new(),
            wanted: None,
            is_loading: false,
            part: JobLimit::new(jobs_max),
        }
    }

    /// Adds the engine of a further provider, which has the jobs whose rows name it in one of these ways.
    pub fn add(&mut self, name: String, as_written: impl IntoIterator<Item = String>, engine: Engine) {
        let number = self.members.len();
        self.members.push(Member { name, engine, is_last: false });
        self.by_name.extend(as_written.into_iter().map(|text| (text, number)));
    }

    /// Gives the jobs whose rows name the run's own provider in this way to its engine.
    pub(crate) fn add_own_name(&mut self, as_written: String) {
        self.by_name.insert(as_written, 0);
    }

    /// Returns the number of the engine for this request; `None` if there is none.
    fn number_of(&self, request: &Request) -> Option<usize> {
        request.provider.as_ref().map_or(Some(0), |name| self.by_name.get(name).copied())
    }

    fn is_alone(&self) -> bool {
        self.members.len() == 1
    }

    /// Processes a result or a request from the driver.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        if self.is_alone() {
            return self.members[0].engine.handle(now, input);
        }
        let owner = match &input {
            Input::Submitted(id, _) | Input::Unsent(id) | Input::Downloaded(id, _) | Input::Unsaved(id) => {
                self.owners.get(id)
            }
            Input::Polled(answers) => answers.first().and_then(|(id, _)| self.owners.get(id)),
            Input::Found(answers) => answers.first().and_then(|(id, _)| self.owners.get(id)),
            Input::Loaded { .. }
            | Input::Received(_)
            | Input::Hold(_)
            | Input::Rate(_)
            | Input::Places(_)
            | Input::CostMax(_)
            | Input::Forgotten
            | Input::Reserved(_)
            | Input::Stop(_) => None,
        };
        match (owner.copied(), input) {
            (Some(number), Input::Unsaved(id)) => {
                self.members[number].engine.handle(now, Input::Unsaved(id));
                // No image of any provider can be saved.
                self.stop(now, &StopReason::Disk);
            }
            (Some(number), input) => self.members[number].engine.handle(now, input),
            (None, Input::Loaded { jobs, more }) => self.loaded(now, jobs, more),
            (None, Input::Stop(stop)) => self.stop(now, &stop),
            (None, input) => self.members.iter_mut().for_each(|member| member.engine.handle(now, input.clone())),
        }
    }

    fn stop(&mut self, now: Moment, stop: &StopReason) {
        for member in &mut self.members {
            member.engine.handle(now, Input::Stop(stop.clone()));
        }
    }

    /// Hands the jobs of the ledger to their engines. Jobs of a provider whose engine has stopped stay in the ledger.
    fn loaded(&mut self, now: Moment, jobs: Vec<JobRecord>, more: More) {
        (self.is_loading, self.wanted) = (false, None);
        // Jobs that an earlier process left come first, of all providers.
        let is_past_known = more != More::Now || jobs.iter().any(|known| known.state.phase == Phase::Pending);
        let mut more = more;
        let mut shares: Vec<Vec<JobRecord>> = self.members.iter().map(|_| Vec::new()).collect();
        for known in jobs {
            let Some(number) = self.number_of(&known.job.request) else { continue };
            let engine = &self.members[number].engine;
            if engine.stop().is_some() && known.state.phase == Phase::Pending {
                continue;
            }
            if self.part.is_full() {
                if !engine.is_held(&known) {
                    self.part.note_others();
                    more = More::Done;
                }
                continue;
            }
            if !engine.is_held(&known) {
                self.part.take();
            }
            self.owners.insert(known.job.id, number);
            shares[number].push(known);
        }
        for (member, jobs) in self.members.iter_mut().zip(shares) {
            member.engine.handle(now, Input::Loaded { jobs, more });
            if is_past_known || self.part.is_full() {
                member.engine.know_past();
            }
        }
    }

    /// Returns what the driver has to record and to do now.
    pub(crate) fn turn(&mut self, now: Moment) -> FleetTurn {
        let mut all = FleetTurn { is_last: true, ..FleetTurn::default() };
        for number in 0..self.members.len() {
            if !self.is_alone() {
                let elsewhere = self.elsewhere(number);
                self.members[number].engine.look_elsewhere(elsewhere);
            }
            let turn = self.members[number].engine.turn(now);
            sooner(&mut all.wake_at, turn.wake_at);
            self.members[number].is_last = turn.is_last;
            all.events.extend(turn.events);
            for action in turn.actions {
                match action {
                    Action::Load { max, .. } if !self.is_alone() => {
                        let max = self.part.ask(max);
                        self.wanted = Some(self.wanted.map_or(max, |wanted| wanted.max(max)));
                    }
                    action => all.actions.push(FleetAction { member: number, action }),
                }
            }
        }
        if let Some(max) = self.wanted.filter(|_| !self.is_loading && self.n_waiting() < BACKLOG_MAX) {
            self.is_loading = true;
            let is_idle = self.members.iter().all(|member| member.engine.is_idle());
            all.actions.push(FleetAction { member: 0, action: Action::Load { max, is_idle } });
        }
        for event in &all.events {
            if matches!(event.kind, EventKind::Finished(_)) {
                self.owners.remove(&event.job);
            }
        }
        all.is_last = !self.is_loading && self.members.iter().all(|member| member.is_last);
        all
    }

    /// Returns the number of jobs that wait for submission, of engines that still submit.
    fn n_waiting(&self) -> usize {
        let going = self.members.iter().filter(|member| member.engine.stop().is_none());
        going.map(|member| member.engine.n_unsubmitted()).sum()
    }

    /// Returns what the limits of one engine have to count of the others.
    fn elsewhere(&self, number: usize) -> Elsewhere {
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != number);
        others.map(|(_, member)| member.engine.own_share()).fold(Elsewhere::default(), Elsewhere::and)
    }

    /// Returns why the run stops before its end, with the name of the provider that is the reason; `None` if it does not.
    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        if let [member] = self.members.as_slice() {
            return member.engine.stop().cloned();
        }
        let stops = self.members.iter().filter_map(|member| Some((member.engine.stop()?, member.name.as_str())));
        let first = stops.min_by_key(|(stop, _)| merge::rank(stop));
        first.map(|(stop, name)| merge::named(stop, name)).or_else(|| self.part.stop())
    }

    /// Returns the end of a pause of all submissions that the provider named; `None` without one. What one of several providers says concerns
    /// no other.
    pub(crate) fn named_pause(&self, now: Moment) -> Option<Moment> {
        self.members.first().filter(|_| self.is_alone()).and_then(|member| member.engine.named_pause(now))
    }

    /// Returns what is under way, for the progress display.
    pub(crate) fn pace(&self, now: Moment) -> RunSnapshot {
        let mut paces = self.members.iter().map(|member| member.engine.pace(now));
        let first = paces.next().unwrap_or_default();
        paces.fold(first, merge::pace)
    }
}
