//! `init`: the files of the original, byte for byte, and what it leaves alone.

use std::fs;

use super::place::Place;

/// What every member of the family gets, with its own names and its own numbers.
fn config(numbers: &str, owner: &str, name: &str) -> String {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!(
        "{numbers}maxNumberOfRestarts = 3\nrestartsDelaySeconds = 5\nstopDelaySeconds = 0\nstopSignalTimeoutSeconds = 15\n\n\
         [upgradeFolders]\n  \"vX.X.X\" = \"vX.X.X\"\n\n\
         [autoInstall]\n  enabled = true\n  repositoryOwner = \"{owner}\"\n  repository = \"{name}\"\n  \
         [autoInstall.asset]\n    name = \"{name}-linux-{machine}.zip\"\n    binaryName = \"{name}\"\n"
    )
}

fn run_config(release: &str, name: &str, has_data_node: bool) -> String {
    let args = "    args = [\"arg1\", \"arg2\", \"...\"]\n";
    let data_node = format!("\n[data_node]\n  [data_node.binary]\n    path = \"{name} data-node\"\n{args}");
    format!(
        "name = \"{release}\"\n\n[{name}]\n  [{name}.binary]\n    path = \"{name}\"\n{args}  [{name}.rpc]\n    socketPath = \"\"\n    \
         httpPath = \"\"\n{}",
        if has_data_node { data_node.as_str() } else { "" }
    )
}

#[test]
fn a_home_is_made_byte_for_byte() {
    let vega = "maxNumberOfFirstConnectionRetries = 175000\nmaxNumberOfRestartConnectionRetries = 10\n";
    let older = "maxNumberOfFirstConnectionRetries = 10\n";
    for (flavour, numbers, owner, name) in [
        (&[][..], vega, "vegaprotocol", "vega"),
        (&["--flavour", "vega"], vega, "vegaprotocol", "vega"),
        (&["--flavour=zeta"], older, "zetaprotocol", "zeta"),
        (&["--flavour", "fury"], older, "elysiumstation", "fury"),
    ] {
        for has_data_node in [false, true] {
            let place = Place::new();
            let with: &[&str] = if has_data_node { &["--with-data-node"] } else { &[] };
            let ended = place.call(&[&["init", "--home", "home"], with, flavour].concat());
            let told = ["Initiating genesis folder", "Initiating vX.X.X upgrade folder", "Saving default config file"];
            assert_eq!(ended.lines(), told.map(|line| format!("INFO\troot\tomnivisor\t{line}")));
            assert_eq!(place.read("config.toml"), config(numbers, owner, name));
            for release in ["genesis", "vX.X.X"] {
                let text = place.read(&format!("{release}/run-config.toml"));
                assert_eq!(text, run_config(release, name, has_data_node));
                assert_eq!((place.mode(release), place.mode(&format!("{release}/run-config.toml"))), (0o755, 0o600));
            }
            assert_eq!((place.mode(""), place.mode("config.toml")), (0o755, 0o600));
            assert_eq!(place.names(""), ["config.toml", "genesis", "vX.X.X"], "no link is made yet");
        }
    }
}

#[test]
fn what_exists_in_any_form_is_not_touched() {
    for make in [
        |place: &Place| fs::create_dir(place.path("")).unwrap(),
        |place: &Place| fs::write(place.beside("home"), "x").unwrap(),
        |place: &Place| std::os::unix::fs::symlink("gone", place.beside("home")).unwrap(),
    ] {
        let place = Place::new();
        make(&place);
        let home = place.beside("home");
        let before = fs::symlink_metadata(&home).unwrap().modified().unwrap();
        place.call(&["init", "--home", "home"]).refused(&format!("home folder \"{}\" already exists", home.display()));
        assert_eq!(fs::symlink_metadata(&home).unwrap().modified().unwrap(), before);
        assert!(!home.join("config.toml").exists());
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let place = Place::new();
    place.call(&["init"]).refused("required flag(s) \"home\" not set");
    place.call(&["init", "--home"]).refused("flag needs an argument: --home");
    place.call(&["init", "--home", "home", "x"]).refused("unknown command \"x\" for \"vegavisor init\"");
    place.call(&["init", "--home", "home", "--nope"]).refused("unknown flag: --nope");
    place
        .call(&["init", "--home", "home", "--flavour", "mint"])
        .refused("flavour flag must be one of \"vega\", \"zeta\", \"fury\"");
    assert!(!place.path("").exists());
}
