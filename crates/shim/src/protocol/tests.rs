//! What is sent is what is read, and nothing that is read can do harm.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::spec::{Output, ResourceLimit};

fn path() -> impl Strategy<Value = PathBuf> {
    "[a-z/ ]{1,20}".prop_map(PathBuf::from)
}

fn settings() -> impl Strategy<Value = LogSettings> {
    (path(), any::<u64>(), any::<u32>(), any::<u64>()).prop_map(|(path, bytes_max, keep, rotate_every_seconds)| {
        LogSettings { path, bytes_max, keep, rotate_every_seconds }
    })
}

fn limit() -> impl Strategy<Value = ResourceLimit> {
    ("[a-z]{1,8}", any::<Option<u64>>(), any::<Option<u64>>()).prop_map(|(resource, soft, hard)| ResourceLimit {
        resource,
        soft,
        hard,
    })
}

prop_compose! {
    fn spec()(
        (run, program, inherit_stdin, notify, leftover_grace_ms) in
            (any::<u64>(), path(), any::<bool>(), any::<bool>(), any::<u64>()),
        arg0 in option::of(path()),
        arguments in vec(path(), 0..4),
        environment in vec((path(), path()), 0..4),
        working_directory in option::of(path()),
        (user, group, umask) in any::<(Option<u32>, Option<u32>, Option<u32>)>(),
        supplementary_groups in option::of(vec(any::<u32>(), 0..4)),
        limits in vec(limit(), 0..3),
        (nice, oom_score_adjust) in any::<(Option<i32>, Option<i32>)>(),
        output in option::of(settings()),
        cgroup in option::of(path()),
        leases in vec(path(), 0..3),
    ) -> Spec {
        Spec {
            run,
            program,
            arg0: arg0.map(PathBuf::into_os_string),
            arguments: arguments.into_iter().map(PathBuf::into_os_string).collect(),
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.into_os_string(), value.into_os_string()))
                .collect(),
            working_directory,
            user,
            group,
            supplementary_groups,
            umask,
            limits,
            nice,
            oom_score_adjust,
            inherit_stdin,
            output: output.map_or(Output::Inherit, Output::Pump),
            cgroup,
            leases,
            notify,
            leftover_grace_ms,
        }
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Group), Just(Scope::Main)]
}

fn request() -> impl Strategy<Value = Request> {
    let command = prop_oneof![
        any::<u32>().prop_map(|version| Command::Hello { version }),
        spec().prop_map(|spec| Command::Launch(Box::new(spec))),
        (any::<i32>(), any::<u64>(), scope()).prop_map(|(signal, grace_ms, scope)| Command::Stop {
            signal,
            grace_ms,
            scope
        }),
        (any::<i32>(), scope()).prop_map(|(signal, scope)| Command::Signal { signal, scope }),
        settings().prop_map(Command::LogSettings),
        any::<u64>().prop_map(|run| Command::Acknowledge { run }),
        Just(Command::Rotate),
        Just(Command::Quit),
    ];
    (any::<u64>(), command).prop_map(|(sequence, command)| Request { sequence, command })
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        any::<i32>().prop_map(ExitStatus::Code),
        (any::<i32>(), any::<bool>()).prop_map(|(signal, core_dumped)| ExitStatus::Signal { signal, core_dumped }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<(u64, u32)>().prop_map(|(run, pid)| Event::Launched { run, pid }),
        any::<(u64, String, String)>().prop_map(|(run, stage, message)| Event::LaunchFailed { run, stage, message }),
        (any::<u64>(), status(), any::<u64>()).prop_map(|(run, status, at_unix_ms)| Event::Exited {
            run,
            status,
            at_unix_ms
        }),
        any::<u64>().prop_map(|run| Event::Empty { run }),
        any::<String>().prop_map(|text| Event::Notify { text }),
        any::<(u64, String)>().prop_map(|(bytes, reason)| Event::LogLost { bytes, reason }),
        path().prop_map(|path| Event::Rotated { path }),
        any::<String>().prop_map(|text| Event::Trouble { text }),
    ]
}

prop_compose! {
    fn state()(
        (version, shim_pid, ready, lost_bytes) in any::<(u32, u32, bool, u64)>(),
        (may_have_orphans, settled) in any::<(bool, bool)>(),
        phase in proptest::sample::select(Phase::NAMES.map(|(phase, _)| phase).to_vec()),
        (run, pid) in any::<(Option<u64>, Option<u32>)>(),
        (launched_at_unix_ms, exited_at_unix_ms) in any::<(Option<u64>, Option<u64>)>(),
        exit in option::of(status()),
        (status_text, trouble) in any::<(Option<String>, Option<String>)>(),
        (cgroup, log_path) in (option::of(path()), option::of(path())),
    ) -> State {
        State {
            version, shim_pid, phase, run, pid, launched_at_unix_ms, exit, exited_at_unix_ms,
            ready, status_text, cgroup, log_path, lost_bytes, trouble, may_have_orphans, settled,
        }
    }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<u64>(), state()).prop_map(|(sequence, state)| Message::State { sequence, state }),
        any::<(u64, Option<String>)>().prop_map(|(sequence, refusal)| Message::Answer { sequence, refusal }),
        event().prop_map(Message::Event),
        (200..u16::MAX).prop_map(|kind| Message::Unknown { kind }),
    ]
}

/// The body of a frame that holds nothing else.
fn body(frame: &[u8]) -> &[u8] {
    let (body, length) = crate::wire::split_frame(frame).unwrap().unwrap();
    assert_eq!(length, frame.len());
    body
}

/// The field that a later version might add.
fn with_unknown_field(frame: &[u8]) -> Vec<u8> {
    let mut body = body(frame).to_vec();
    body.extend_from_slice(&[0xff, 0xff, 3, 0, 0, 0, 1, 2, 3]);
    body
}

proptest! {
    #[test]
    fn requests_are_read_as_they_were_sent(request in request()) {
        let frame = request.to_frame().unwrap();
        prop_assert_eq!(&Request::from_body(body(&frame)).unwrap(), &request);
        prop_assert_eq!(&Request::from_body(&with_unknown_field(&frame)).unwrap(), &request);
        prop_assert_eq!(Request::sequence_of(body(&frame)), Some(request.sequence));
    }

    #[test]
    fn messages_are_read_as_they_were_sent(message in message()) {
        let frame = message.to_frame().unwrap();
        prop_assert_eq!(&Message::from_body(body(&frame)).unwrap(), &message);
        prop_assert_eq!(&Message::from_body(&with_unknown_field(&frame)).unwrap(), &message);
    }

    #[test]
    fn a_message_cut_short_is_never_taken_for_whole(message in message()) {
        let frame = message.to_frame().unwrap();
        for end in 0..frame.len() {
            prop_assert_eq!(crate::wire::split_frame(&frame[..end]), Ok(None));
        }
    }

    #[test]
    fn garbage_is_read_without_harm(bytes in vec(any::<u8>(), 0..200), kind in 0_u16..120) {
        let _ = crate::wire::split_frame(&bytes);
        let _ = Request::from_body(&bytes);
        let _ = Message::from_body(&bytes);
        let kinded = [&kind.to_le_bytes()[..], &bytes].concat();
        let _ = Request::from_body(&kinded);
        let _ = Message::from_body(&kinded);
    }

    #[test]
    fn a_message_with_a_flipped_byte_is_read_without_harm(
        request in request(), message in message(), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        for frame in [request.to_frame().unwrap(), message.to_frame().unwrap()] {
            let mut body = body(&frame).to_vec();
            let at = at.index(body.len());
            body[at] ^= flip;
            let _ = Request::from_body(&body);
            let _ = Message::from_body(&body);
        }
    }
}

#[test]
fn what_is_too_long_is_neither_sent_nor_accepted() {
    let text = "x".repeat(crate::wire::FRAME_BYTES_MAX);
    assert!(matches!(Message::Event(Event::Notify { text }).to_frame(), Err(WireError::TooLong { .. })));
    assert!(matches!(crate::wire::split_frame(&u32::MAX.to_le_bytes()), Err(WireError::TooLong { .. })));
}
