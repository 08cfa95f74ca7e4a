//! What a release's processes are launched as: from where, with what, and which programs may be meant.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fakenode::Profile;
use fakenode::vega::Role;
use ov_testkit::wait_until;

use super::support::{Node, for_both_flavours};

/// Has the paths of the programs in a release's `run-config.toml` be this.
fn lead_to(node: &Node, release: &str, path: &str) {
    let file = node.path(&format!("home/{release}/run-config.toml"));
    let text = fs::read_to_string(&file).unwrap();
    let own = text.lines().find(|line| line.trim_start().starts_with("path = ")).unwrap().to_owned();
    fs::write(&file, text.replace(&own, &format!("    path = {path:?}"))).unwrap();
}

for_both_flavours! {
    fn processes_start_where_we_do_with_our_environment_and_no_input(flavour) {
        let mut node = Node::new(flavour);
        node.start();
        node.wait_for_height(5);
        let of_core = |name: &str| node.path(&format!("/proc/{}/{name}", node.core_pid()));
        assert_eq!(fs::read_link(of_core("cwd")).unwrap(), fs::canonicalize(node.path("")).unwrap());
        assert_eq!(fs::read_link(of_core("fd/0")).unwrap().to_str(), Some("/dev/null"));
        let environment = fs::read(of_core("environ")).unwrap();
        let environment: Vec<String> =
            environment.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        assert!(environment.contains(&"PATH=/usr/bin:/bin".to_owned()), "{environment:?}");
        node.stop();
        assert!(node.out().contains("\tvisor\t"), "our own lines stand on standard output: {}", node.out());
    }

    fn programs_are_made_executable(flavour) {
        let mut node = Node::new(flavour);
        node.stage("v0.2.0");
        for release in ["genesis", "v0.2.0"] {
            // Another file: what is installed is one with the program that is tested.
            let program = node.path(&format!("home/{release}/{flavour}"));
            let copy = node.path("copy");
            fs::copy(&program, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
            fs::rename(&copy, &program).unwrap();
        }
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_program_may_lie_anywhere(flavour) {
        let mut node = Node::new(flavour);
        for (release, version) in [("genesis", "v0.1.0"), ("v0.2.0", "v0.2.0")] {
            node.install(release, &Profile::new(version));
            let elsewhere = node.path(&format!("programs/{version}"));
            fs::create_dir_all(&elsewhere).unwrap();
            for file in fs::read_dir(node.path(&format!("home/{release}"))).unwrap() {
                let file = file.unwrap();
                if file.file_name() != "run-config.toml" {
                    fs::rename(file.path(), elsewhere.join(file.file_name())).unwrap();
                }
            }
            lead_to(&node, release, elsewhere.join(flavour).to_str().unwrap());
        }
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        assert_eq!(node.current(), node.home().join("v0.2.0"));
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_path_is_never_split_and_a_program_that_is_missing_uses_the_restarts_up(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("maxNumberOfRestarts", "1")]);
        lead_to(&node, "genesis", &format!("{flavour} data-node"));
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert!(node.err().contains("maximum number of possible restarts has been reached"), "{}", node.err());
        assert_eq!(node.launches(Role::Core), []);
    }

    fn a_release_that_comes_late_is_gone_to_when_it_is_there(flavour) {
        let mut node = Node::new(flavour);
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_line("ready for the upgrade at height 30");
        wait_until("the missing release to be told", || node.plans().contains("OV-UPG-011"));
        assert_eq!(node.launched(Role::Core), ["v0.1.0"], "the old core idles, and nothing was stopped");
        // Half of it is no release yet.
        fs::create_dir(node.path("home/v0.2.0")).unwrap();
        node.stage("v0.2.0");
        node.wait_for_blocks_of("v0.2.0");
        node.stop();
        assert_eq!(node.blocks()[0], "v0.1.0: 1-30");
        assert_eq!(node.violations(), Vec::<String>::new());
    }
}
