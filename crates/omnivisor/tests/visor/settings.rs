//! How the program is called: its names, its help, where flags may stand, and what is no command.

use std::process::Command;

use super::place::{Place, ended};

#[test]
fn the_program_is_found_by_every_name() {
    let place = Place::new();
    let expected = place.call(&["version"]).out;
    assert!(expected.starts_with("Vega Visor CLI "), "{expected}");
    assert_eq!(ended(place.command("/usr/bin/vegavisor", &["version"])).out, expected);
    for name in ["visor", "vegavisor"] {
        assert_eq!(ended(place.command("omnivisor", &[name, "version"])).out, expected);
        let link = place.beside(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_omnivisor"), &link).unwrap();
        let mut command = Command::new(&link);
        command.arg("version");
        assert_eq!(ended(command).out, expected);
    }
}

#[test]
fn flags_stand_before_or_behind_the_command() {
    for arguments in [
        &["init", "--home", "home", "--with-data-node"][..],
        &["--home=home", "init", "--with-data-node=true"],
        &["--home", "home", "--with-data-node", "init"],
    ] {
        let place = Place::new();
        let ended = place.call(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        assert!(place.read("genesis/run-config.toml").contains("[data_node]"));
    }
}

#[test]
fn help_comes_to_whoever_asks_and_nobody_else() {
    let place = Place::new();
    let help = place.call(&[]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for word in ["vegavisor [command]", "init", "version", "completion", "--home", "omnivisor status"] {
        assert!(help.out.contains(word), "{word} is not in {}", help.out);
    }
    for arguments in [&["help"][..], &["--help"], &["-h"]] {
        assert_eq!(place.call(arguments).out, help.out);
    }
    for command in ["init", "version", "completion"] {
        let by_flag = place.call(&[command, "-h"]);
        assert!(by_flag.out.contains(&format!("vegavisor {command} ")), "{by_flag:?}");
        assert_eq!(place.call(&["help", command]).out, by_flag.out);
    }
    place
        .call(&["frobnicate"])
        .refused("unknown command \"frobnicate\" for \"vegavisor\"\nRun 'vegavisor --help' for usage.");
}

#[test]
fn shells_are_told_what_there_is() {
    let place = Place::made();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.call(&["completion", shell]).out;
        for word in ["visor", "vegavisor", "init", "version", "home", "with-data-node"] {
            assert!(script.contains(word), "{shell}: {word} is not in {script}");
        }
    }
    place.call(&["completion", "ksh"]).refused("unknown shell \"ksh\": there is bash, zsh and fish");
    place.call(&["completion"]).refused("accepts 1 arg(s), received 0");
}
