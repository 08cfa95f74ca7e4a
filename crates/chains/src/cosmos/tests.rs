//! The settings as a whole: what is read, refused, shown and exported.

use std::path::Path;

use ov_sys::RealDisk;
use proptest::prelude::*;

use super::settings::TABLE;
use super::*;

/// An environment of these variables.
fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
}

const GIVEN: [(&str, &str); 2] = [("DAEMON_HOME", "/home/node"), ("DAEMON_NAME", "simd")];

#[test]
fn defaults_are_the_documented_ones_in_both_modes() {
    let by_environment = from_environment(&environment(&GIVEN));
    let by_file = from_file("daemon_home = '/home/node'\nDAEMON_NAME = \"simd\"\n", &environment(&[]));
    assert_eq!(by_environment, by_file);
    assert_eq!(by_environment.problems, [""; 0]);
    let settings = by_environment.settings;
    assert!(settings.restart_after_upgrade && settings.color_logs);
    let off = [settings.allow_download, settings.must_have_checksum, settings.skip_backup, settings.disable_logs];
    assert_eq!(off, [false; 4]);
    assert_eq!(settings.poll_interval, GoDuration::from_ms(300));
    assert_eq!((settings.restart_delay, settings.shutdown_grace), Default::default());
    assert_eq!((settings.backup_dir.as_str(), settings.grpc_address.as_str()), ("/home/node", "localhost:9090"));
    assert_eq!((settings.time_format.word, settings.pre_upgrade_retries), ("kitchen", 0));
}

#[test]
fn every_variable_is_heeded() {
    let reading = from_environment(&environment(&[
        ("DAEMON_HOME", "/h"),
        ("DAEMON_NAME", "n"),
        ("DAEMON_ALLOW_DOWNLOAD_BINARIES", "TRUE"),
        ("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "true"),
        ("DAEMON_RESTART_AFTER_UPGRADE", "False"),
        ("DAEMON_RESTART_DELAY", "1m"),
        ("DAEMON_SHUTDOWN_GRACE", "15s"),
        ("DAEMON_POLL_INTERVAL", "1s"),
        ("UNSAFE_SKIP_BACKUP", "true"),
        ("DAEMON_DATA_BACKUP_DIR", "/b"),
        ("DAEMON_PREUPGRADE_MAX_RETRIES", "-3"),
        ("DAEMON_GRPC_ADDRESS", "h:1"),
        ("COSMOVISOR_DISABLE_LOGS", "true"),
        ("COSMOVISOR_COLOR_LOGS", "false"),
        ("COSMOVISOR_TIMEFORMAT_LOGS", ""),
        ("COSMOVISOR_CUSTOM_PREUPGRADE", "p.sh"),
        ("COSMOVISOR_DISABLE_RECASE", "true"),
        // Obsolete for years, and still in many unit files.
        ("DAEMON_LOG_BUFFER_SIZE", "512"),
    ]));
    assert_eq!(reading.problems, [""; 0]);
    let expected = Settings {
        home: "/h".to_owned(),
        name: "n".to_owned(),
        allow_download: true,
        must_have_checksum: true,
        restart_after_upgrade: false,
        restart_delay: GoDuration::from_ms(60_000),
        shutdown_grace: GoDuration::from_ms(15_000),
        poll_interval: GoDuration::from_ms(1_000),
        skip_backup: true,
        backup_dir: "/b".to_owned(),
        pre_upgrade_retries: -3,
        grpc_address: "h:1".to_owned(),
        disable_logs: true,
        color_logs: false,
        time_format: TimeFormat::NONE,
        custom_pre_upgrade: "p.sh".to_owned(),
        disable_recase: true,
    };
    assert_eq!(reading.settings, expected);
}

#[test]
fn all_that_is_wrong_with_the_environment_is_told_at_once() {
    let reading = from_environment(&environment(&[
        ("DAEMON_ALLOW_DOWNLOAD_BINARIES", "Yes"),
        ("DAEMON_RESTART_DELAY", "600"),
        ("DAEMON_SHUTDOWN_GRACE", "-3m"),
        ("DAEMON_POLL_INTERVAL", "0"),
        ("DAEMON_PREUPGRADE_MAX_RETRIES", "many"),
        ("COSMOVISOR_TIMEFORMAT_LOGS", "Kitchen"),
    ]));
    assert_eq!(
        reading.problems,
        [
            "env variable \"DAEMON_ALLOW_DOWNLOAD_BINARIES\" must have a boolean value (\"true\" or \"false\"), got \"yes\"",
            "invalid: DAEMON_RESTART_DELAY: could not parse '600' into a duration: time: missing unit in duration \"600\"",
            "invalid: DAEMON_SHUTDOWN_GRACE: must be greater than 0",
            "invalid: DAEMON_POLL_INTERVAL: must be greater than 0",
            "DAEMON_PREUPGRADE_MAX_RETRIES could not be parsed to int: strconv.Atoi: parsing \"many\": invalid syntax",
            "env variable \"COSMOVISOR_TIMEFORMAT_LOGS\" must have a timeformat value \
             (\"layout|ansic|unixdate|rubydate|rfc822|rfc822z|rfc850|rfc1123|rfc1123z|rfc3339|rfc3339nano|kitchen\"), \
             got \"Kitchen\"",
        ]
    );
}

#[test]
fn a_file_is_read_in_its_own_types_or_as_text_and_variables_win() {
    let file = "daemon_home = '/f'\ndaemon_name = 'n'\ndaemon_shutdown_grace = 15000000000\n\
                daemon_restart_delay = '1m'\ndaemon_poll_interval = 300000000\nunsafe_skip_backup = 'TRUE'\n\
                daemon_restart_after_upgrade = false\ndaemon_preupgrade_max_retries = 2\n\
                daemon_data_backup_dir = ''\ncosmovisor_timeformat_logs = ''\nsurprise = 1\n";
    let reading = from_file(
        file,
        &environment(&[
            ("DAEMON_HOME", "/e"),
            ("DAEMON_NAME", ""),
            ("COSMOVISOR_COLOR_LOGS", "false"),
            ("COSMOVISOR_TIMEFORMAT_LOGS", ""),
        ]),
    );
    assert_eq!(reading.problems, [""; 0]);
    let settings = reading.settings;
    assert_eq!((settings.home.as_str(), settings.name.as_str()), ("/e", "n"));
    let lengths = [settings.shutdown_grace, settings.restart_delay, settings.poll_interval];
    assert_eq!(lengths.map(GoDuration::ms), [15_000, 60_000, 300]);
    assert!(settings.skip_backup && !settings.restart_after_upgrade && !settings.color_logs);
    assert_eq!((settings.pre_upgrade_retries, settings.backup_dir.as_str()), (2, ""));
    assert_eq!(settings.time_format, TimeFormat::NONE);
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once() {
    let file = "daemon_name = 7\nunsafe_skip_backup = 1\ndaemon_poll_interval = 0\ndaemon_restart_delay = -1\n\
                daemon_shutdown_grace = true\ndaemon_preupgrade_max_retries = 1.5\n\
                cosmovisor_timeformat_logs = 'never'\n";
    let problems = from_file(file, &environment(&[])).problems;
    let begin: Vec<&str> = problems.iter().map(|problem| &problem[..problem.len().min(62)]).collect();
    assert_eq!(
        begin,
        [
            "failed to unmarshal configuration: daemon_name must be a text,",
            "invalid: DAEMON_RESTART_DELAY: must be greater than 0",
            "failed to unmarshal configuration: daemon_shutdown_grace must ",
            "invalid: DAEMON_POLL_INTERVAL: must be greater than 0",
            "failed to unmarshal configuration: unsafe_skip_backup must be ",
            "failed to unmarshal configuration: daemon_preupgrade_max_retri",
            "env variable \"COSMOVISOR_TIMEFORMAT_LOGS\" must have a timeform",
        ]
    );
    let problems = from_file("daemon_name = ", &environment(&[])).problems;
    assert!(problems.len() == 1 && problems[0].starts_with("failed to read config file: "), "{problems:?}");
}

#[test]
fn what_is_exported_is_read_back_and_looks_as_there() {
    let settings = from_environment(&environment(&GIVEN)).settings;
    let text = exported(&settings);
    assert_eq!(
        text,
        "daemon_home = '/home/node'\ndaemon_name = 'simd'\ndaemon_allow_download_binaries = false\n\
         daemon_download_must_have_checksum = false\ndaemon_restart_after_upgrade = true\ndaemon_restart_delay = 0\n\
         daemon_shutdown_grace = 0\ndaemon_poll_interval = 300000000\nunsafe_skip_backup = false\n\
         daemon_data_backup_dir = '/home/node'\ndaemon_preupgrade_max_retries = 0\n\
         daemon_grpc_address = 'localhost:9090'\ncosmovisor_disable_logs = false\ncosmovisor_color_logs = true\n\
         cosmovisor_timeformat_logs = 'kitchen'\ncosmovisor_custom_preupgrade = ''\n\
         cosmovisor_disable_recase = false\n"
    );
    assert_eq!(from_file(&text, &environment(&[])).settings, settings);
}

#[test]
fn what_is_shown_looks_as_there_with_nothing_forgotten() {
    let mut settings = from_environment(&environment(&GIVEN)).settings;
    settings.shutdown_grace = GoDuration::from_ms(90_000);
    assert_eq!(
        shown(&settings),
        "Configurable Values:\n  DAEMON_HOME: /home/node\n  DAEMON_NAME: simd\n  \
         DAEMON_ALLOW_DOWNLOAD_BINARIES: false\n  DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM: false\n  \
         DAEMON_RESTART_AFTER_UPGRADE: true\n  DAEMON_RESTART_DELAY: 0s\n  DAEMON_SHUTDOWN_GRACE: 1m30s\n  \
         DAEMON_POLL_INTERVAL: 300ms\n  UNSAFE_SKIP_BACKUP: false\n  DAEMON_DATA_BACKUP_DIR: /home/node\n  \
         DAEMON_PREUPGRADE_MAX_RETRIES: 0\n  DAEMON_GRPC_ADDRESS: localhost:9090\n  COSMOVISOR_DISABLE_LOGS: false\n  \
         COSMOVISOR_COLOR_LOGS: true\n  COSMOVISOR_TIMEFORMAT_LOGS: 3:04PM\n  COSMOVISOR_CUSTOM_PREUPGRADE: \n  \
         COSMOVISOR_DISABLE_RECASE: false\nDerived Values:\n         Root Dir: /home/node/cosmovisor\n      \
         Upgrade Dir: /home/node/cosmovisor/upgrades\n      Genesis Bin: /home/node/cosmovisor/genesis/bin/simd\n   \
         Monitored File: /home/node/data/upgrade-info.json\n  Data Backup Dir: /home/node\n"
    );
}

#[test]
fn every_default_of_the_table_is_right_and_every_name_is_there_once() {
    for row in &TABLE {
        let count = TABLE.iter().filter(|other| other.name == row.name).count();
        assert_eq!(count, 1, "{}", row.name);
    }
    // A default that could not be read would leave a problem or a zero behind.
    assert_eq!(from_environment(&environment(&[])).problems, [""; 0]);
}

#[test]
fn folders_are_looked_for_and_all_problems_told_together() {
    let top = tempfile::tempdir().unwrap();
    let home = top.path().to_str().unwrap();
    let problems = |pairs: &[(&str, &str)]| load(&RealDisk, None, &environment(pairs)).unwrap_err().problems;

    assert_eq!(
        problems(&[("DAEMON_POLL_INTERVAL", "1")]),
        [
            "invalid: DAEMON_POLL_INTERVAL: could not parse '1' into a duration: time: missing unit in duration \"1\"",
            "DAEMON_NAME is not set",
            "DAEMON_HOME is not set",
            "DAEMON_DATA_BACKUP_DIR must not be empty",
        ]
    );
    assert_eq!(
        problems(&[("DAEMON_HOME", "x"), ("DAEMON_NAME", "n"), ("UNSAFE_SKIP_BACKUP", "true")]),
        ["DAEMON_HOME must be an absolute path"]
    );
    let named = [("DAEMON_HOME", home), ("DAEMON_NAME", "n")];
    let missing = format!("cannot stat home dir: stat {home}/cosmovisor: no such file or directory");
    assert_eq!(problems(&named), [missing]);
    std::fs::write(top.path().join("cosmovisor"), "").unwrap();
    assert_eq!(problems(&named), [format!("{home}/cosmovisor is not a directory")]);
    std::fs::remove_file(top.path().join("cosmovisor")).unwrap();
    // The root may be a link to another disk.
    std::fs::create_dir(top.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", top.path().join("cosmovisor")).unwrap();
    let (settings, extras) = load(&RealDisk, None, &environment(&named)).unwrap();
    assert_eq!(extras, Extras::default());
    assert_eq!(settings.root(), top.path().join("cosmovisor"));

    let backup = |dir: &str| problems(&[named[0], named[1], ("DAEMON_DATA_BACKUP_DIR", dir)]);
    assert_eq!(backup("b"), ["b must be an absolute path"]);
    let nowhere = format!("{home}/no");
    let why = format!("{nowhere:?} must be a valid directory: stat {nowhere}: no such file or directory");
    assert_eq!(backup(&nowhere), [why]);
    std::fs::write(&nowhere, "").unwrap();
    assert_eq!(backup(&nowhere), [format!("{nowhere:?} must be a valid directory")]);
    let skipped = [named[0], named[1], ("DAEMON_DATA_BACKUP_DIR", "b"), ("UNSAFE_SKIP_BACKUP", "true")];
    assert!(load(&RealDisk, None, &environment(&skipped)).is_ok());
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_told() {
    let top = tempfile::tempdir().unwrap();
    let problem = |file: &Path| load(&RealDisk, Some(file), &environment(&[])).unwrap_err().to_string();
    let file = top.path().join("c.toml");
    let shown = file.display();
    assert_eq!(problem(&file), format!("config not found: at {shown} : stat {shown}: no such file or directory"));
    std::fs::write(&file, b"\xff").unwrap();
    assert_eq!(problem(&file), "failed to read config file: it is not UTF-8 text");
    assert!(problem(top.path()).starts_with("failed to read config file: open "));
}

proptest! {
    #[test]
    fn no_file_makes_reading_panic(text in "([a-z_]{1,12} = ['0-9a-z.\"]{0,6}\n?){0,4}", other in ".{0,60}") {
        let _ = from_file(&text, &environment(&[]));
        let _ = from_file(&other, &environment(&[]));
    }

    #[test]
    fn whatever_is_exported_comes_back(
        texts in proptest::collection::vec("[^\0]{0,12}", 5), grace in 0_i64.., retries: i64, on: bool, word in 0_usize..13,
    ) {
        let word = TimeFormat::words().split('|').chain([""]).nth(word).and_then(TimeFormat::of).unwrap();
        let settings = Settings {
            home: texts[0].clone(),
            name: texts[1].clone(),
            backup_dir: texts[2].clone(),
            grpc_address: texts[3].clone(),
            custom_pre_upgrade: texts[4].clone(),
            shutdown_grace: GoDuration::from_nanoseconds(grace),
            poll_interval: GoDuration::from_nanoseconds(grace.max(1)),
            pre_upgrade_retries: retries,
            skip_backup: on,
            color_logs: !on,
            time_format: word,
            ..Settings::default()
        };
        let reading = from_file(&exported(&settings), &environment(&[]));
        prop_assert_eq!(reading.problems, [""; 0]);
        prop_assert_eq!(reading.settings, settings);
    }
}
