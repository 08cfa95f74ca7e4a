//! `add-upgrade`, `add-batch-upgrade` and what shows their work.

use std::fs;

use super::support::Home;

const NODES_OWN: &str = "{\"name\":\"gov\",\"height\":77,\"info\":\"x\"}";

/// The schedule as names and heights.
fn scheduled(home: &Home) -> Vec<(String, i64)> {
    let ended = home.call(&["show-manual-upgrades"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    let plans: Vec<serde_json::Value> = serde_json::from_str(&ended.out).unwrap();
    plans.iter().map(|plan| (plan["name"].as_str().unwrap().to_owned(), plan["height"].as_i64().unwrap())).collect()
}

fn entries(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
    pairs.iter().map(|(name, height)| ((*name).to_owned(), *height)).collect()
}

#[test]
fn a_program_is_put_where_the_upgrade_will_look_for_it() {
    let mut home = Home::made();
    let executable = home.executable("new");
    let ended = home.call(&["add-upgrade", "My Upgrade", &executable]);
    let place = home.text("cosmovisor/upgrades/my%20upgrade/bin/simd");
    assert_eq!(
        ended.lines(),
        [
            format!("Using {executable} for my upgrade upgrade module=cosmovisor"),
            format!("Upgrade binary located at {place} module=cosmovisor"),
        ]
    );
    assert_eq!(fs::read(&place).unwrap(), fs::read(&executable).unwrap());
    assert_eq!(home.mode("cosmovisor/upgrades/my%20upgrade/bin/simd"), 0o755);
    assert_eq!(home.names("cosmovisor/upgrades/my%20upgrade/bin"), ["simd"]);
    assert_eq!(home.names("data"), [""; 0], "a program without a height schedules nothing");

    home.call(&["add-upgrade", "my upgrade", &executable]).refused(&format!("file already exists at {place}"));
    let newer = home.executable("newer");
    assert_eq!(home.call(&["add-upgrade", "--force", "my upgrade", &newer]).code, 0);
    assert_eq!(fs::read(&place).unwrap(), fs::read(newer).unwrap());

    home.set("COSMOVISOR_DISABLE_RECASE", "true");
    assert_eq!(home.call(&["add-upgrade", "MyUpgrade", &executable]).code, 0);
    assert!(home.path("cosmovisor/upgrades/MyUpgrade/bin/simd").exists());
}

#[test]
fn a_program_that_runs_is_replaced_beside_itself() {
    let home = Home::made();
    let place = home.program("cosmovisor/upgrades/v2/bin/simd", "old");
    let inode = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&place);
    let held = fs::File::open(&place).unwrap();
    let executable = home.executable("new");
    assert_eq!(home.call(&["add-upgrade", "v2", &executable, "--force"]).code, 0);
    assert_ne!(inode(&place), before, "the file of the running program was written into");
    drop(held);
}

#[test]
fn the_plan_file_is_the_nodes_and_stays_as_it_is() {
    let home = Home::made();
    fs::write(home.path("data/upgrade-info.json"), NODES_OWN).unwrap();
    let executable = home.executable("new");
    let ended = home.call(&["add-upgrade", "v3", &executable, "--upgrade-height", "300"]);
    let schedule = home.text("data/upgrade-info.json.batch");
    let last = format!("{schedule} created, v3 upgrade binary will switch at height 300 module=cosmovisor");
    assert_eq!(ended.lines().last(), Some(&last.as_str()));
    assert_eq!(home.call(&["add-upgrade", "v2", &executable, "--upgrade-height=200"]).code, 0);
    assert_eq!(home.read("data/upgrade-info.json"), NODES_OWN);
    assert_eq!(scheduled(&home), entries(&[("v2", 200), ("v3", 300)]));
    assert_eq!(home.mode("data/upgrade-info.json.batch"), 0o600);
    assert_eq!(home.names("data"), ["upgrade-info.json", "upgrade-info.json.batch"], "intermediate files were left");

    // Another height is another wish.
    fs::remove_file(home.path("cosmovisor/upgrades/v2/bin/simd")).unwrap();
    let again = ["add-upgrade", "V2", &executable, "--upgrade-height", "250"];
    let why =
        format!("file already exists at {schedule}: v2 is scheduled for height 200 there; use --force to change that");
    home.call(&again).refused(&why);
    assert!(!home.path("cosmovisor/upgrades/v2/bin/simd").exists(), "a refused command changed something");
    assert_eq!(home.call(&[&again[..], &["--force"]].concat()).code, 0);
    assert_eq!(scheduled(&home), entries(&[("v2", 250), ("v3", 300)]));
}

#[test]
fn what_cannot_be_meant_changes_nothing() {
    let home = Home::made();
    let executable = home.executable("new");
    let refused = |arguments: &[&str], why: &str| home.call(&[&["add-upgrade"], arguments].concat()).refused(why);
    refused(&["v2", "gone"], "invalid executable path: stat gone: no such file or directory");
    refused(&["v2", "."], "failed to read binary: . is not a regular file");
    refused(&["", &executable], "name cannot be empty");
    refused(&["Genesis", &executable], "an upgrade cannot be called `genesis`: the first release is called so");
    refused(
        &["v2", &executable, "--upgrade-height", "-5"],
        "invalid argument \"-5\" for \"--upgrade-height\" flag: height must be greater than 0",
    );
    refused(
        &["v2", &executable, "--upgrade-height", "soon"],
        "invalid argument \"soon\" for \"--upgrade-height\" flag: it is not a whole number",
    );
    refused(&["v2"], "accepts 2 arg(s), received 1");
    let dots = home.call(&["add-upgrade", "..", &executable]);
    assert!(dots.code == 1 && dots.err.starts_with("Error: the upgrade `..` cannot have a folder"), "{dots:?}");

    fs::write(home.path("data/upgrade-info.json.batch"), "[{]").unwrap();
    let damaged = home.call(&["add-upgrade", "v2", &executable, "--upgrade-height", "5"]);
    assert_eq!(damaged.code, 1);
    assert!(damaged.err.starts_with("Error: failed to read the scheduled upgrades: "), "{damaged:?}");
    assert_eq!(home.read("data/upgrade-info.json.batch"), "[{]");
    assert!(!home.path("cosmovisor/upgrades").exists());

    // A whole new list takes the place of anything.
    let replaced = home.call(&["add-batch-upgrade", "--upgrade-list", &format!("v2:{executable}:5")]);
    assert!(replaced.code == 0 && replaced.out.contains("this list takes its place"), "{replaced:?}");
    assert_eq!(scheduled(&home), entries(&[("v2", 5)]));
}

#[test]
fn a_batch_comes_from_a_file_or_from_words() {
    let home = Home::made();
    let (two, three) = (home.executable("two"), home.executable("three"));
    let list = home.beside("list.csv");
    fs::write(&list, format!("v3,{three},300\nv2,{two},200\n")).unwrap();
    let ended = home.call(&["add-batch-upgrade", "--upgrade-file", list.to_str().unwrap()]);
    assert_eq!(ended.lines().len(), 6);
    assert!(ended.out.contains("v2 upgrade binary will switch at height 200"), "{ended:?}");
    assert_eq!(scheduled(&home), entries(&[("v2", 200), ("v3", 300)]));
    assert_eq!(home.names("data"), ["upgrade-info.json.batch"]);
    assert_eq!(fs::read(home.path("cosmovisor/upgrades/v3/bin/simd")).unwrap(), fs::read(&three).unwrap());

    // A new list takes the place of the old one, and what is dropped is told.
    let ended = home.call(&["add-batch-upgrade", "--upgrade-list", &format!("v3:{two}:350,v4:{three}:400")]);
    assert_eq!(scheduled(&home), entries(&[("v3", 350), ("v4", 400)]));
    assert!(ended.out.contains("WRN v2 at height 200 was scheduled before"), "{ended:?}");
    assert_eq!(fs::read(home.path("cosmovisor/upgrades/v3/bin/simd")).unwrap(), fs::read(&two).unwrap());
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let home = Home::made();
    let executable = home.executable("x");
    assert_eq!(home.call(&["add-batch-upgrade", "--upgrade-list", &format!("v2:{executable}:200")]).code, 0);
    let before = home.read("data/upgrade-info.json.batch");
    let refused = |arguments: &[&str], why: &str| {
        home.call(&[&["add-batch-upgrade"], arguments].concat()).refused(why);
        assert_eq!(home.read("data/upgrade-info.json.batch"), before);
        assert_eq!(home.names("cosmovisor/upgrades"), ["v2"]);
    };
    refused(&[], "either --upgrade-file or --upgrade-list must be provided");
    refused(
        &["--upgrade-file", "a", "--upgrade-list", "b"],
        "if any flags in the group [upgrade-file upgrade-list] are set none of the others can be; [upgrade-file \
         upgrade-list] were all set",
    );
    refused(&["--upgrade-list", "v3:x"], "argument at position 0 (v3:x) is invalid");
    let list = format!("v3:{executable}:300,v4:{executable}:soon");
    refused(&["--upgrade-list", &list], "upgrade height at position 1 (soon) is invalid");
    let list = format!("v3:{executable}:300,v4:gone:400");
    refused(&["--upgrade-list", &list], "invalid executable path: stat gone: no such file or directory");
    let list = format!("v3:{executable}:300,V3:{executable}:400");
    refused(&["--upgrade-list", &list], "upgrade v3 is in the list more than once");
    let gone = home.beside("gone.csv");
    let why = format!("error opening upgrade CSV file gone.csv: open {}: no such file or directory", gone.display());
    refused(&["--upgrade-file", "gone.csv"], &why);
    fs::write(&gone, "v3,x\n").unwrap();
    let why = "error parsing upgrade CSV file gone.csv: record on line 1: wrong number of fields";
    refused(&["--upgrade-file", "gone.csv"], why);
}

#[test]
fn a_schedule_is_written_through_a_data_folder_on_another_disk() {
    let home = Home::made();
    fs::remove_dir(home.path("data")).unwrap();
    fs::create_dir(home.beside("disk")).unwrap();
    std::os::unix::fs::symlink("../disk", home.path("data")).unwrap();
    let executable = home.executable("x");
    assert_eq!(home.call(&["add-upgrade", "v2", &executable, "--upgrade-height", "5"]).code, 0);
    assert!(home.beside("disk/upgrade-info.json.batch").exists());
    assert!(fs::symlink_metadata(home.path("data")).unwrap().is_symlink());
    assert_eq!(scheduled(&home), entries(&[("v2", 5)]));
}

#[test]
fn the_plan_file_is_shown_as_it_is_or_said_to_be_missing() {
    let home = Home::made();
    let file = home.text("data/upgrade-info.json");
    let missing = format!("upgrade-info.json not found at {file}: open {file}: no such file or directory");
    home.call(&["show-upgrade-info"]).refused(&missing);
    fs::write(&file, NODES_OWN).unwrap();
    assert_eq!(home.call(&["show-upgrade-info"]).out, format!("{NODES_OWN}\n"));
    assert_eq!(home.call(&["show-manual-upgrades"]).out, "[]\n");
}

#[test]
fn two_commands_at_a_time_lose_nothing() {
    let home = Home::made();
    let executable = home.executable("x");
    let add = |height: i64| {
        let (name, height) = (format!("v{height}"), height.to_string());
        home.call(&["add-upgrade", &name, &executable, "--upgrade-height", &height]).code == 0
    };
    let add = &add;
    let done: Vec<bool> = std::thread::scope(|scope| {
        let calls: Vec<_> = (1..=8).map(|height| scope.spawn(move || add(height))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let expected: Vec<i64> = done.iter().zip(1..).filter(|(done, _)| **done).map(|(_, height)| height).collect();
    let found: Vec<i64> = scheduled(&home).into_iter().map(|(_, height)| height).collect();
    assert_eq!(found, expected, "a command that succeeded was forgotten");
    assert!(!found.is_empty());
}
