//! The keeper's part of a conversation: hearing the unit and the daemon, and telling the daemon.
//!
//! Nobody is waited for: what is not whole yet stays with its connection, and what a daemon does not
//! read in time it learns from the state when it comes back.

use std::time::{Duration, Instant};

use super::Keeper;
use crate::connection::{Closed, Connection};
use crate::notify::NotifySocket;
use crate::protocol::{Command, Event, Message, PROTOCOL_VERSION, Phase, Request, State};
use crate::pump::Pump;

impl Keeper {
    pub(super) fn hear_unit(&mut self) {
        let texts = self.notify.as_ref().map(NotifySocket::receive).unwrap_or_default();
        for text in texts {
            if let Some(run) = &mut self.run {
                run.ready |= text.lines().any(|line| line == "READY=1");
                if let Some(status) = text.lines().find_map(|line| line.strip_prefix("STATUS=")) {
                    run.status_text = Some(status.to_owned());
                }
            }
            if !self.control.as_ref().is_some_and(Connection::is_congested) {
                self.tell(Event::Notify { text });
            }
        }
    }

    /// Whoever says hello takes over from whoever commanded before.
    pub(super) fn hear_candidate(&mut self) {
        let mut requests = Vec::new();
        let Some(mut candidate) = self.candidate.take() else {
            return;
        };
        let heard = candidate.receive(&mut requests);
        let is_hello = |request: &Request| matches!(request.command, Command::Hello { .. });
        match (heard, requests.first()) {
            (Ok(()), None) => self.candidate = Some(candidate),
            (Ok(()), Some(first)) if is_hello(first) => {
                self.control = Some(candidate);
                for request in requests {
                    self.obey(request);
                }
            }
            _ => {}
        }
    }

    pub(super) fn hear_control(&mut self) {
        let mut requests = Vec::new();
        let Some(control) = &mut self.control else {
            return;
        };
        let heard = control.flush().and_then(|()| control.receive(&mut requests));
        for request in requests {
            self.obey(request);
        }
        if let Err(Closed) = heard {
            self.control = None;
        }
    }

    fn obey(&mut self, request: Request) {
        let Request { sequence, command } = request;
        let mut refusal = None;
        match command {
            Command::Hello { .. } => {
                let state = self.state();
                return self.send(&Message::State { sequence, state });
            }
            Command::Launch(spec) => {
                if let Some(run) = self.run.as_ref().filter(|_| self.is_occupied()) {
                    refusal = Some(format!("run {} has not ended", run.record.run));
                } else {
                    // The answer comes before the events that the launch causes.
                    self.send(&Message::Answer { sequence, refusal: None });
                    return self.launch(&spec);
                }
            }
            Command::Stop { signal, .. } | Command::Signal { signal, .. }
                if rustix::process::Signal::from_named_raw(signal).is_none() =>
            {
                refusal = Some(format!("there is no signal {signal}"));
            }
            Command::Stop { signal, grace_ms, scope } => {
                let grace = Duration::from_millis(grace_ms);
                if let Some(run) = self.run.as_mut().filter(|run| run.record.phase != Phase::Empty) {
                    run.record.settled = true;
                    run.stop(signal, grace, scope, Instant::now());
                }
            }
            Command::Signal { signal, scope } => match &self.run {
                Some(run) if self.is_occupied() => run.signal(signal, scope),
                _ => refusal = Some("nothing runs".to_owned()),
            },
            Command::LogSettings(settings) => match &mut self.pump {
                Some(pump) => pump.set(settings),
                None => refusal = Some("the output is not pumped".to_owned()),
            },
            Command::Rotate => match &mut self.pump {
                Some(pump) => pump.rotate(),
                None => refusal = Some("the output is not pumped".to_owned()),
            },
            Command::Acknowledge { run } => self.acknowledge(run),
            Command::Quit if self.is_occupied() => refusal = Some("the unit runs".to_owned()),
            Command::Quit => {
                self.settle();
                self.quits = true;
            }
        }
        self.send(&Message::Answer { sequence, refusal });
    }

    /// The state does not tell the exit again; the record keeps it.
    fn acknowledge(&mut self, number: u64) {
        if let Some(run) = self.run.as_mut().filter(|run| run.record.run == number) {
            run.acknowledged = true;
        }
    }

    /// The daemon ends well and wants nothing of this unit: its last end is nothing to be judged by the next one.
    fn settle(&mut self) {
        let last = self.run.as_mut().map(|run| &mut run.record).or(self.predecessor.as_mut());
        if let Some(record) = last.filter(|record| record.phase == Phase::Empty && !record.settled) {
            record.settled = true;
            // If it fails, the next daemon judges it once more.
            let _ = self.record.write(record, false);
        }
    }

    fn state(&self) -> State {
        let run = self.run.as_ref();
        // Before its first launch a shim tells of the last run of the shim before it.
        let record = run.map(|run| &run.record).or(self.predecessor.as_ref());
        let running = run.map(|run| &run.record).filter(|record| record.phase == Phase::Running);
        let ended = record.filter(|_| run.is_none_or(|run| !run.acknowledged));
        State {
            version: PROTOCOL_VERSION,
            shim_pid: std::process::id(),
            phase: run.map(|run| run.record.phase).unwrap_or_default(),
            run: record.map(|record| record.run),
            pid: running.and_then(|record| record.pid),
            launched_at_unix_ms: record.map(|record| record.launched_at_unix_ms),
            exit: ended.and_then(|record| record.exit),
            exited_at_unix_ms: ended.and_then(|record| record.exited_at_unix_ms),
            ready: run.is_some_and(|run| run.ready),
            status_text: run.and_then(|run| run.status_text.clone()),
            cgroup: run.and_then(|run| run.cgroup.clone()),
            log_path: self.pump.as_ref().map(|pump| pump.path().to_owned()),
            lost_bytes: self.pump.as_ref().map(Pump::lost_bytes).unwrap_or_default(),
            trouble: self.trouble.clone(),
            settled: record.is_some_and(|record| record.settled),
            may_have_orphans: run.is_none() && record.is_some_and(|record| record.phase != Phase::Empty),
        }
    }

    pub(super) fn complain(&mut self, text: String) {
        self.trouble = Some(text.clone());
        self.tell(Event::Trouble { text });
    }

    /// Without a daemon nobody is told; the next one gets the state.
    pub(super) fn tell(&mut self, event: Event) {
        self.send(&Message::Event(event));
    }

    fn send(&mut self, message: &Message) {
        if let Some(control) = &mut self.control
            && let Err(Closed) = control.send(message)
        {
            self.control = None;
        }
    }
}
