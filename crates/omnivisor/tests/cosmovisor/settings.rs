//! How settings are found, checked and shown; help, and what is no command.

use std::fs;
use std::process::Command;

use super::support::{Home, ended};

#[test]
fn all_problems_are_told_together_and_nothing_else() {
    let mut home = Home::made();
    home.set("DAEMON_SHUTDOWN_GRACE", "600");
    home.set("DAEMON_ALLOW_DOWNLOAD_BINARIES", "yes");
    home.set("DAEMON_NAME", "");
    home.set("DAEMON_DATA_BACKUP_DIR", "backups");
    home.call(&["config"]).refused(
        "env variable \"DAEMON_ALLOW_DOWNLOAD_BINARIES\" must have a boolean value (\"true\" or \"false\"), got \"yes\"\n\
         invalid: DAEMON_SHUTDOWN_GRACE: could not parse '600' into a duration: time: missing unit in duration \"600\"\n\
         DAEMON_NAME is not set\nbackups must be an absolute path",
    );
}

#[test]
fn a_file_needs_no_key_that_has_a_default() {
    let mut home = Home::made();
    let file = home.beside("c.toml");
    let text = format!(
        "daemon_home = '{}'\ndaemon_name = 'simd'\ndaemon_shutdown_grace = 15000000000\n",
        home.path("").display()
    );
    fs::write(&file, text).unwrap();
    home.set("DAEMON_NAME", "");
    home.set("DAEMON_HOME", "");
    home.set("DAEMON_POLL_INTERVAL", "1s");
    // The name is relative to where the command is called.
    for arguments in
        [["config", "-c", "c.toml"], ["-c", "c.toml", "config"], ["config", "--cosmovisor-config", "c.toml"]]
    {
        let shown = home.call(&arguments);
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{shown:?}");
        for line in [
            "  DAEMON_RESTART_AFTER_UPGRADE: true",
            "  DAEMON_SHUTDOWN_GRACE: 15s",
            "  DAEMON_POLL_INTERVAL: 1s",
            "  DAEMON_GRPC_ADDRESS: localhost:9090",
            "  COSMOVISOR_TIMEFORMAT_LOGS: 3:04PM",
        ] {
            assert!(shown.out.lines().any(|shown| shown == line), "{line} is not in {}", shown.out);
        }
    }
    let gone = home.beside("gone.toml");
    let why = format!("config not found: at {0} : stat {0}: no such file or directory", gone.display());
    home.call(&["config", "-c", "gone.toml"]).refused(&why);
}

#[test]
fn the_program_is_found_by_every_name() {
    let home = Home::made();
    let by_name = home.call(&["config"]);
    let program = home.beside("cosmovisor");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_omnivisor"), &program).unwrap();
    let calls =
        [(program.to_str().unwrap(), vec!["config"]), (env!("CARGO_BIN_EXE_omnivisor"), vec!["cosmovisor", "config"])];
    for (program, words) in calls {
        let mut command = Command::new(program);
        command.args(words).envs(home.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = ended(command);
        assert_eq!((ended.code, &ended.out), (0, &by_name.out), "{ended:?}");
    }
}

#[test]
fn help_comes_without_any_setting_and_names_what_must_be_set() {
    let mut home = Home::new();
    home.set("DAEMON_HOME", "");
    home.set("DAEMON_NAME", "");
    let help = home.call(&[]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for word in ["process manager", "DAEMON_HOME", "DAEMON_NAME", "https://docs.cosmos.network", "add-upgrade"] {
        assert!(help.out.contains(word), "{word} is not in the help");
    }
    for arguments in [&["help"][..], &["--help"], &["-h"]] {
        assert_eq!(home.call(arguments).out, help.out);
    }
    for command in ["init", "config", "version", "add-upgrade", "add-batch-upgrade", "show-upgrade-info"] {
        let by_flag = home.call(&[command, "--help"]);
        assert!(by_flag.out.contains(&format!("cosmovisor {command} ")), "{by_flag:?}");
        assert_eq!(home.call(&["help", command]).out, by_flag.out);
    }
    home.call(&["frobnicate"])
        .refused("unknown command \"frobnicate\" for \"cosmovisor\"\nRun 'cosmovisor --help' for usage.");
}

#[test]
fn own_lines_go_where_a_variable_of_ours_says() {
    let mut home = Home::made();
    let executable = home.executable("x");
    let log = home.beside("own.log");
    home.set("OMNIVISOR_LOG_TO", log.to_str().unwrap());
    let ended = home.call(&["add-upgrade", "v2", &executable]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", ""));
    assert_eq!(fs::read_to_string(&log).unwrap().matches("for v2 upgrade module=cosmovisor\n").count(), 1);
    home.set("OMNIVISOR_LOG_TO", "stderr");
    let ended = home.call(&["add-upgrade", "v3", &executable]);
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    assert!(ended.err.contains("for v3 upgrade module=cosmovisor\n"), "{ended:?}");
    home.set("OMNIVISOR_LOG_TO", "somewhere");
    home.call(&["config"])
        .refused("OMNIVISOR_LOG_TO must be stdout, stderr, or the absolute path of a file, got \"somewhere\"");
}
