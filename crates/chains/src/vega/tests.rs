//! The family's files, as people and other programs write them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ov_sys::RealDisk;
use ov_types::ReleaseName;
use proptest::prelude::*;

use super::*;
use crate::cosmos::WrongSettings;

fn settings_of(text: &str, flavour: &Flavour, missing: Missing) -> (Settings, Remarks) {
    read_settings(text.as_bytes(), Path::new("/h"), flavour, missing).unwrap()
}

fn vega(text: &str) -> (Settings, Remarks) {
    settings_of(text, &FLAVOURS[0], Missing::Documented)
}

fn run_config_of(text: &str) -> (RunConfig, Remarks) {
    read_run_config(text.as_bytes()).unwrap()
}

#[test]
fn what_init_writes_is_what_holds_without_it() {
    for flavour in &FLAVOURS {
        let (written, remarks) = settings_of(&config_text(flavour), flavour, Missing::Zero);
        assert_eq!(remarks, Remarks::default());
        let (documented, remarks) = settings_of("[autoInstall]\n", flavour, Missing::Documented);
        assert_eq!(remarks, Remarks::default());
        let folders = [("vX.X.X".to_owned(), "vX.X.X".to_owned())].into();
        // Where its `init` does not write a number, it has none but this.
        let restart_connection_retries = documented.restart_connection_retries;
        assert_eq!(
            Settings { restart_connection_retries, ..written },
            Settings { upgrade_folders: folders, ..documented }
        );
    }
    let numbers = |settings: Settings| {
        [
            settings.first_connection_retries,
            settings.restart_connection_retries,
            settings.restarts,
            settings.restart_delay_seconds,
            settings.stop_delay_seconds,
            settings.stop_timeout_seconds,
        ]
    };
    assert_eq!(numbers(vega("\n").0), [175_000, 10, 3, 5, 0, 15]);
    let zeta = flavour("zeta").unwrap();
    assert_eq!(numbers(settings_of("\n", zeta, Missing::Documented).0), [10, 10, 3, 5, 0, 15]);
    let strict = settings_of("[autoInstall.asset]\n", &FLAVOURS[0], Missing::Zero).0;
    assert_eq!(strict, Settings { home: "/h".into(), ..Settings::default() });
}

#[test]
fn nothing_is_fetched_that_the_file_does_not_name() {
    assert_eq!(vega("\n").0.auto_install, AutoInstall::default());
    let own = vega("[autoInstall]\nenabled = false\nrepositoryOwner = 'me'\n").0.auto_install;
    assert_eq!((own.enabled, own.owner.as_str(), own.repository.as_str()), (false, "me", "vega"));
    for (asset, name, program) in [
        ("name = 'a.zip'\nbinaryName = 'b'", "a.zip", "b"),
        ("name = 'a.zip'", "a.zip", "vega"),
        ("name = 'a'", "a", "a"),
        ("binaryName = 'b'", FLAVOURS[0].asset().as_str(), "b"),
        ("", FLAVOURS[0].asset().as_str(), "vega"),
    ] {
        let (read, remarks) = vega(&format!("[autoInstall.asset]\n{asset}\n"));
        let found = &read.auto_install;
        assert_eq!((found.asset.as_str(), found.program(), remarks), (name, program, Remarks::default()), "{asset}");
    }
    let strict = settings_of("[autoInstall.asset]\nname = 'a.zip'\n", &FLAVOURS[0], Missing::Zero).0.auto_install;
    assert_eq!((strict.enabled, strict.program()), (false, "a.zip"));
    for (text, missing) in
        [("[autoInstall.asset]\nname = ''", Missing::Documented), ("[autoInstall]\nenabled = true", Missing::Zero)]
    {
        let remarks = settings_of(text, &FLAVOURS[0], missing).1;
        let begin = "missing required auto install vega asset definition in Visor config";
        assert!(remarks.warnings.len() == 1 && remarks.warnings[0].starts_with(begin), "{remarks:?}");
    }
}

#[test]
fn files_of_older_releases_are_understood_and_told() {
    for (text, flavour_name, name, program) in [
        ("[autoInstall.assets]\nvega = 'vega-linux-amd64'", "vega", "vega-linux-amd64", "vega-linux-amd64"),
        ("[autoInstall.assets]\nvega = 'v.zip'", "vega", "v.zip", "vega"),
        ("[autoInstall.assets.vega]\nassset_name = 'v.zip'\nbinary_name = 'core'", "vega", "v.zip", "core"),
        ("[autoInstall.assets.vega]\nasset_name = 'v.zip'\nbinary_name = 'core'", "vega", "v.zip", "core"),
        ("[autoInstall.assets.zeta]\nassset_name = 'z.zip'\nbinary_name = 'core'", "zeta", "z.zip", "core"),
        ("[autoInstall.assets]\nassset_name = 'v.zip'\nbinary_name = 'core'", "vega", "v.zip", "core"),
        ("[autoInstall.asset]\nassset_name = 'v.zip'\nbinary_name = 'core'", "vega", "v.zip", "core"),
        ("[AUTOINSTALL.Assets.VEGA]\nAssset_Name = 'v.zip'", "vega", "v.zip", "vega"),
    ] {
        let (read, remarks) = settings_of(text, flavour(flavour_name).unwrap(), Missing::Documented);
        assert_eq!((read.auto_install.asset.as_str(), read.auto_install.program()), (name, program), "{text}");
        let [warning] = &remarks.warnings[..] else { panic!("{text}: {remarks:?}") };
        assert!(warning.contains("of an older release, and is understood as\n  [autoInstall.asset]\n"), "{warning}");
        assert_eq!(remarks.problems, [""; 0]);
    }
    let both = vega("[autoInstall.asset]\nname = 'new'\n[autoInstall.assets]\nvega = 'old'\ndata_node = 'd'");
    assert_eq!(both.0.auto_install.asset, "new");
    let told = [
        "autoInstall.assets.data_node means nothing: the data node is part of the same program now",
        "autoInstall.assets is of an older release, and means nothing beside autoInstall.asset.name",
    ];
    assert_eq!(both.1.warnings, told);
    let none = vega("[autoInstall.assets]\ndata_node = 'd'");
    assert_eq!(none.0.auto_install.asset, FLAVOURS[0].asset());
    assert!(none.1.warnings[1].ends_with("names no file of vega"), "{none:?}");
}

#[test]
fn keys_are_found_whatever_their_case_and_strangers_are_told() {
    let (read, remarks) = vega(
        "MAXNUMBEROFRESTARTS = 7\nrestartDelaySeconds = 1\nstopdelayseconds = -4\n[upgradeFolders]\n'v1' = 'one'\n\
         'bad tag' = 'x'\n[autoinstall]\nenabled = false\nassset = 1\n",
    );
    assert_eq!((read.restarts, read.restart_delay_seconds, read.stop_delay_seconds), (7, 5, 0));
    assert_eq!(read.upgrade_folders, [("v1".to_owned(), "one".to_owned())].into());
    let told = [
        "stopDelaySeconds is -4, which means 0",
        "upgradeFolders.bad tag means nothing: `bad tag` is not a release name: only letters, digits and `. _ - + % $ & = \
         : @ ~` are allowed",
        "autoInstall.assset means nothing: is autoInstall.asset meant?",
        "restartDelaySeconds means nothing: is restartsDelaySeconds meant?",
    ];
    assert_eq!(remarks.warnings, told);
    let wrong = vega("maxNumberOfRestarts = '3'\nautoInstall = 1\n[upgradeFolders]\nv1 = 2\n").1.problems;
    let told = [
        "maxNumberOfRestarts must be a whole number, and not string",
        "upgradeFolders.v1 must be the name of a folder, and not integer",
        "autoInstall must be a table, and not integer",
    ];
    assert_eq!(wrong, told);
}

const WHOLE: &str = "name = \"v0.74.0\"\n\n[vega]\n  [vega.binary]\n    path = \"vega\"\n    args = [\"start\", \"--home\", \"/v\"]\n  \
                     [vega.rpc]\n    socketPath = \"/v/vega.sock\"\n    httpPath = \"/rpc\"\n\n[data_node]\n  [data_node.binary]\n    \
                     path = \"vega\"\n    args = [\"datanode\", \"start\", \"--home\", \"/d\"]\n";

#[test]
fn a_run_config_is_written_as_it_was_read() {
    let (read, remarks) = run_config_of(WHOLE);
    assert_eq!(remarks, Remarks::default());
    assert_eq!((read.flavour.name, read.name.as_str(), read.core.path.as_str()), ("vega", "v0.74.0", "vega"));
    assert_eq!((read.rpc.socket.as_str(), read.rpc.http_path.as_str()), ("/v/vega.sock", "/rpc"));
    assert_eq!(read.to_text(), WHOLE);
    let bare = WHOLE.split("\n[data_node]").next().unwrap().replace("    args = [\"start\", \"--home\", \"/v\"]\n", "");
    assert_eq!(run_config_of(&bare).0.to_text(), bare, "arguments that are not there stay away");
    let empty = WHOLE.replace("[\"start\", \"--home\", \"/v\"]", "[]");
    assert_eq!(run_config_of(&empty).0.to_text(), empty);
}

#[test]
fn texts_are_quoted_as_there() {
    let text = run_config::quoted("a\"b\\\t\n\r\u{8}\u{c}é\u{1}\u{1f}\u{7f}<&'");
    assert_eq!(text, r#""a\"b\\\t\n\r\b\fé\u0001\u001f\u007f<&'""#);
}

#[test]
fn the_table_of_the_core_tells_the_member() {
    for flavour in &FLAVOURS {
        let text = WHOLE.replace("[vega", &format!("[{}", flavour.name));
        let (read, remarks) = run_config_of(&text);
        assert_eq!((read.flavour, read.to_text(), remarks), (flavour, text, Remarks::default()));
    }
    let why = read_run_config(b"name = 'x'\n[core.binary]\npath = 'x'\n").unwrap_err();
    assert_eq!(why, "it has none of the tables [vega], [zeta], [fury]");
    let both = run_config_of(&format!("{WHOLE}[zeta.binary]\npath = 'z'\n"));
    assert_eq!((both.0.flavour.name, &both.1.warnings[..]), ("vega", &["zeta means nothing".to_owned()][..]));
}

#[test]
fn what_a_run_config_lacks_is_all_told() {
    for (text, problems) in [
        ("[vega]\n", &["vega.binary is missing"][..]),
        ("[vega.binary]\n[data_node]\n", &["vega.binary.path is missing", "data_node.binary is missing"]),
        ("[vega.binary]\npath = ''\n", &["vega.binary.path is missing"]),
        (
            "[vega.binary]\npath = 1\nargs = 'start'\n",
            &[
                "vega.binary.path must be a text, and not integer",
                "vega.binary.args must be a list of texts, and not string",
            ],
        ),
        (
            "vega = 1\ndata_node = 2\n",
            &["vega must be a table, and not integer", "data_node must be a table, and not integer"],
        ),
    ] {
        assert_eq!(run_config_of(text).1.problems, problems, "{text}");
    }
    let (_, remarks) = run_config_of(&run_config_texts(&FLAVOURS[0], true)[0].1);
    for word in
        ["socketPath is empty", "httpPath is \"\"", "vega.binary.args are", "data_node.binary.args are", "before v0.71"]
    {
        assert!(remarks.warnings.iter().any(|warning| warning.contains(word)), "{word}: {remarks:?}");
    }
    let of_old = WHOLE.replace("path = \"vega\"\n    args = [\"datanode\", ", "path = \"data-node\"\n    args = [");
    let [warning] = &run_config_of(&of_old).1.warnings[..] else { panic!("{of_old}") };
    assert!(warning.contains("args = [\"datanode\", \"start\", …]"), "{warning}");
}

#[test]
fn a_fetched_release_is_launched_as_the_one_before() {
    let next = run_config_of(WHOLE).0.of_fetched("v0.75.0", "vega-new");
    let expected = WHOLE.replace("v0.74.0", "v0.75.0").replace("path = \"vega\"", "path = \"vega-new\"");
    assert_eq!(next.to_text(), expected);
    for (before, after) in [
        ("[\"start\", \"--home\", \"/d\"]", "[\"datanode\", \"start\", \"--home\", \"/d\"]"),
        ("[\"node\", \"--home\", \"/d\"]", "[\"datanode\", \"start\", \"--home\", \"/d\"]"),
        ("[]", "[]"),
    ] {
        let text = WHOLE.replace("[\"datanode\", \"start\", \"--home\", \"/d\"]", before);
        let next = run_config_of(&text).0.of_fetched("v0.75.0", "vega");
        assert!(next.to_text().ends_with(&format!("[data_node.binary]\n    path = \"vega\"\n    args = {after}\n")));
    }
}

#[test]
fn the_data_node_is_asked_with_its_own_home_and_no_other_words() {
    for (args, expected) in [
        ("start --home /d", "network-history latest-history-segment --output=json --home /d --output json"),
        (
            "datanode start --home /d",
            "datanode network-history latest-history-segment --output=json --home /d --output json",
        ),
        (
            "datanode start --home=/d -x",
            "datanode network-history latest-history-segment --output=json --home=/d --output json",
        ),
        (
            "start --home /datanode",
            "network-history latest-history-segment --output=json --home /datanode --output json",
        ),
        (
            "start --home=/datanode --log /x/datanode.log",
            "network-history latest-history-segment --output=json --home=/datanode --output json",
        ),
        ("start --home datanode", "network-history latest-history-segment --output=json --home datanode --output json"),
        (
            "--home /d datanode start",
            "datanode network-history latest-history-segment --output=json --home /d --output json",
        ),
        (
            "datanode start --tendermint-home /t",
            "datanode network-history latest-history-segment --output=json --output json",
        ),
        ("start --home", "network-history latest-history-segment --output=json --output json"),
    ] {
        let args = Some(args.split_whitespace().map(str::to_owned).collect());
        assert_eq!(history_args(&Launch { path: "vega".to_owned(), args }).join(" "), expected);
    }
}

/// A home on a real disk.
struct Place(tempfile::TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("config.toml"), config).unwrap();
        place.release("genesis");
        place
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    fn release(&self, folder: &str) {
        fs::create_dir_all(self.path(folder)).unwrap();
        fs::write(self.path(folder).join("run-config.toml"), WHOLE).unwrap();
    }

    fn link(&self, to: &Path) {
        let _ = fs::remove_file(self.path("current"));
        symlink(to, self.path("current")).unwrap();
    }

    fn load(&self) -> Result<Home, WrongSettings> {
        load(&RealDisk, self.0.path(), &|_| None)
    }

    fn standing(&self) -> Result<String, String> {
        let shown = |home: Home| match home.standing {
            Standing::Release(release) => release.to_string(),
            Standing::Fresh(release) => format!("fresh {release}"),
        };
        self.load().map(shown).map_err(|wrong| wrong.to_string())
    }
}

fn name(text: &str) -> ReleaseName {
    ReleaseName::new(text).unwrap()
}

#[test]
fn a_missing_link_leads_to_genesis_only_where_the_node_never_ran() {
    let place = Place::new("\n");
    assert_eq!(place.standing().as_deref(), Ok("fresh genesis"));
    fs::create_dir_all(place.path(".omnivisor/journal")).unwrap();
    let why = place.standing().unwrap_err();
    assert!(why.contains("is missing, and the node has run already") && why.contains("`ln -sfn "), "{why}");
    place.link(&place.path("genesis"));
    assert_eq!(place.standing().as_deref(), Ok("genesis"));
    let fresh = Place::new("\n");
    fs::remove_file(fresh.path("genesis/run-config.toml")).unwrap();
    let why = fresh.standing().unwrap_err();
    let begin = "failed to create new runner: failed to set current folder to ";
    assert!(why.starts_with(begin) && why.contains("missing run config in "), "{why}");
}

#[test]
fn what_is_no_link_to_a_release_is_refused_and_left_alone() {
    let place = Place::new("\n");
    place.link(&place.path("v0.74.0"));
    assert!(place.standing().unwrap_err().contains("v0.74.0, where nothing is; restore that folder, or point"));
    fs::create_dir(place.path("v0.74.0")).unwrap();
    assert!(place.standing().unwrap_err().contains("folder; put it there, or point the link"));
    place.release("v0.74.0");
    assert_eq!(place.standing().as_deref(), Ok("v0.74.0"));
    place.link(Path::new("v0.74.0"));
    assert_eq!(place.standing().as_deref(), Ok("v0.74.0"), "people write it in other forms");
    fs::remove_file(place.path("current")).unwrap();
    place.release("current");
    assert!(place.standing().unwrap_err().contains("is no link; move it away"));
    assert!(place.path("current/run-config.toml").exists());
}

#[test]
fn folders_are_mapped_and_a_link_may_lead_elsewhere() {
    let text = "[upgradeFolders]\n'v1' = 'one'\n'v2' = 'v2'\n'v3' = '/deep/../x/three/'\n";
    let place = Place::new(text);
    place.release("one");
    place.link(&place.path("one"));
    let home = place.load().unwrap();
    assert_eq!(home.standing, Standing::Release(name("v1")));
    let directory = |tag: &str| home.layout.releases().directory(&name(tag));
    assert_eq!(directory("v2"), place.path("v2"));
    assert_eq!(directory("v3"), place.path("x/three"));
    assert_eq!(home.layout.releases().link_text(&name("v1")), place.path("one"));
    assert!(home.layout.is_first(&name("genesis")) && !home.layout.is_first(&name("v1")));

    let apart = Place::new("\n");
    apart.release("v9");
    place.link(&apart.path("v9"));
    let home = place.load().unwrap();
    assert_eq!((home.standing.clone(), home.release_folder()), (Standing::Release(name("v9")), apart.path("v9")));
}

#[test]
fn all_that_is_wrong_in_both_files_is_told_together() {
    let place = Place::new("maxNumberOfRestarts = 'x'\nstopDelaySeconds = 'y'\n");
    fs::write(place.path("genesis/run-config.toml"), "[vega.binary]\npath = 1\n").unwrap();
    let of_config = "failed to create new runner: failed to get config: failed to parse config file: failed to parse \
                     VisorConfig: ";
    let expected = [
        format!("{of_config}maxNumberOfRestarts must be a whole number, and not string"),
        format!("{of_config}stopDelaySeconds must be a whole number, and not string"),
        "failed to parse run config: failed to parse RunConfig: vega.binary.path must be a text, and not integer"
            .to_owned(),
    ];
    assert_eq!(place.load().unwrap_err().problems, expected);
    fs::write(place.path("config.toml"), "").unwrap();
    assert_eq!(place.standing(), Err(format!("{of_config}empty file")));
    fs::remove_file(place.path("config.toml")).unwrap();
    let file = place.path("config.toml");
    let gone = format!("{of_config}couldn't read file: open {}: no such file or directory", file.display());
    assert_eq!(place.standing(), Err(gone));
    let gone = load(&RealDisk, &place.path("gone"), &|_| None).unwrap_err().to_string();
    assert!(gone.starts_with("failed to create new runner: visor is not initialized: home folder "), "{gone}");
    let strict = load(&RealDisk, place.0.path(), &|_| Some("maybe".to_owned())).unwrap_err().to_string();
    assert_eq!(strict, "OMNIVISOR_VISOR_STRICT must be 0 or 1, got \"maybe\"");
}

#[test]
fn the_originals_zeros_can_be_asked_for() {
    let place = Place::new("\n");
    assert_eq!(place.load().unwrap().settings.restarts, 3);
    let strict = load(&RealDisk, place.0.path(), &|name| (name == "OMNIVISOR_VISOR_STRICT").then(|| "1".to_owned()));
    assert_eq!(strict.unwrap().settings.restarts, 0);
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[a-z\\[\\]=\".'\n{}#, 1]{0,80}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = read_settings(bytes, Path::new("/h"), &FLAVOURS[1], Missing::Documented);
            let _ = read_run_config(bytes);
        }
    }

    #[test]
    fn every_run_config_comes_back(name in ".*", path in ".+", args in proptest::option::of(proptest::collection::vec(".*", 0..4)), with_data_node: bool) {
        let launch = Launch { path, args };
        let written = RunConfig {
            flavour: &FLAVOURS[2],
            name,
            core: launch.clone(),
            rpc: Rpc { socket: "/s".to_owned(), http_path: "/rpc".to_owned() },
            data_node: with_data_node.then_some(launch),
        };
        let (read, remarks) = read_run_config(written.to_text().as_bytes()).unwrap();
        prop_assert_eq!(remarks.problems, [""; 0]);
        prop_assert_eq!(read, written);
    }
}
