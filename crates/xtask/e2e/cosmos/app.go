package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	runtimemodule "cosmossdk.io/api/cosmos/app/runtime/v1alpha1"
	app "cosmossdk.io/api/cosmos/app/v1alpha1"
	authmodule "cosmossdk.io/api/cosmos/auth/module/v1"
	bankmodule "cosmossdk.io/api/cosmos/bank/module/v1"
	consensusmodule "cosmossdk.io/api/cosmos/consensus/module/v1"
	distributionmodule "cosmossdk.io/api/cosmos/distribution/module/v1"
	genutilmodule "cosmossdk.io/api/cosmos/genutil/module/v1"
	govmodule "cosmossdk.io/api/cosmos/gov/module/v1"
	mintmodule "cosmossdk.io/api/cosmos/mint/module/v1"
	stakingmodule "cosmossdk.io/api/cosmos/staking/module/v1"
	txmodule "cosmossdk.io/api/cosmos/tx/config/v1"
	upgrademodule "cosmossdk.io/api/cosmos/upgrade/module/v1"
	"cosmossdk.io/core/appconfig"
	"cosmossdk.io/depinject"
	"cosmossdk.io/log"
	store "cosmossdk.io/store/types"
	upgradekeeper "cosmossdk.io/x/upgrade/keeper"
	upgrade "cosmossdk.io/x/upgrade/types"
	database "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	server_types "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutil_types "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/gogoproto/proto"

	_ "cosmossdk.io/x/upgrade"
	_ "github.com/cosmos/cosmos-sdk/x/auth"
	_ "github.com/cosmos/cosmos-sdk/x/auth/tx/config"
	_ "github.com/cosmos/cosmos-sdk/x/bank"
	_ "github.com/cosmos/cosmos-sdk/x/consensus"
	_ "github.com/cosmos/cosmos-sdk/x/distribution"
	_ "github.com/cosmos/cosmos-sdk/x/gov"
	_ "github.com/cosmos/cosmos-sdk/x/mint"
	_ "github.com/cosmos/cosmos-sdk/x/staking"
)

// Which release this is: set by the linker to one of releases.
var release = "v1"

// Every release, and the stores that the upgrade to it adds.
var releases = []struct {
	name  string
	added []string
}{{name: "v1"}, {name: "v2", added: []string{"mint"}}, {name: "v3"}}

func isAtLeast(name string) bool {
	return release >= name
}

// What the chain consists of in this release.
func chainConfig() depinject.Config {
	begin := []string{"distribution", "staking"}
	end := []string{"gov", "staking"}
	genesis := []string{"auth", "bank", "distribution", "staking", "gov", "genutil", "consensus", "upgrade"}
	if isAtLeast("v2") {
		begin = append([]string{"mint"}, begin...)
		genesis = append(genesis, "mint")
	}
	configs := map[string]proto.Message{
		"runtime": &runtimemodule.Module{
			AppName:           "chain",
			PreBlockers:       []string{"upgrade", "auth"},
			BeginBlockers:     begin,
			EndBlockers:       end,
			InitGenesis:       genesis,
			OverrideStoreKeys: []*runtimemodule.StoreKeyConfig{{ModuleName: "auth", KvStoreKey: "acc"}},
		},
		"auth": &authmodule.Module{
			Bech32Prefix: "cosmos",
			ModuleAccountPermissions: []*authmodule.ModuleAccountPermission{
				{Account: "fee_collector"},
				{Account: "distribution"},
				{Account: "mint", Permissions: []string{"minter"}},
				{Account: "bonded_tokens_pool", Permissions: []string{"burner", "staking"}},
				{Account: "not_bonded_tokens_pool", Permissions: []string{"burner", "staking"}},
				{Account: "gov", Permissions: []string{"burner"}},
			},
		},
		"bank":         &bankmodule.Module{},
		"consensus":    &consensusmodule.Module{},
		"distribution": &distributionmodule.Module{},
		"genutil":      &genutilmodule.Module{},
		"gov":          &govmodule.Module{},
		"staking":      &stakingmodule.Module{},
		"tx":           &txmodule.Config{},
		"upgrade":      &upgrademodule.Module{},
	}
	if isAtLeast("v2") {
		configs["mint"] = &mintmodule.Module{}
	}
	modules := make([]*app.ModuleConfig, 0, len(configs))
	for name, config := range configs {
		each := &app.ModuleConfig{Name: name, Config: appconfig.WrapAny(config)}
		if name == "mint" {
			// Two keepers have the methods that it asks for; one of them is its own.
			each.GolangBindings = []*app.GolangBinding{{
				InterfaceType:  "github.com/cosmos/cosmos-sdk/x/mint/types/types.StakingKeeper",
				Implementation: "github.com/cosmos/cosmos-sdk/x/staking/keeper/*keeper.Keeper",
			}}
		}
		modules = append(modules, each)
	}
	basics := map[string]module.AppModuleBasic{
		genutil_types.ModuleName: genutil.NewAppModuleBasic(genutil_types.DefaultMessageValidator),
	}
	return depinject.Configs(appconfig.Compose(&app.Config{Modules: modules}), depinject.Supply(basics))
}

// The node's part of the chain, with its data.
func newChain(logger log.Logger, data database.DB, trace io.Writer, options server_types.AppOptions) server_types.Application {
	var builder *runtime.AppBuilder
	var upgrades *upgradekeeper.Keeper
	config := depinject.Configs(chainConfig(), depinject.Supply(options, logger))
	if err := depinject.Inject(config, &builder, &upgrades); err != nil {
		panic(err)
	}
	chain := builder.Build(data, trace, server.DefaultBaseappOptions(options)...)
	handleUpgrades(chain, upgrades)
	if err := chain.Load(true); err != nil {
		panic(err)
	}
	return chain
}

// Every release handles the upgrade to it and to those before it; the one that is due may add stores.
func handleUpgrades(chain *runtime.App, upgrades *upgradekeeper.Keeper) {
	due, err := upgrades.ReadUpgradeInfoFromDisk()
	if err != nil {
		panic(fmt.Errorf("failed to read the plan: %w", err))
	}
	for _, each := range releases[1:] {
		if !isAtLeast(each.name) {
			continue
		}
		migrate := func(ctx context.Context, _ upgrade.Plan, from module.VersionMap) (module.VersionMap, error) {
			return chain.ModuleManager.RunMigrations(ctx, chain.Configurator(), from)
		}
		upgrades.SetUpgradeHandler(each.name, migrate)
		if due.Name == each.name && len(each.added) > 0 && !upgrades.IsSkipHeight(due.Height) {
			added := store.StoreUpgrades{Added: slices.Clone(each.added)}
			chain.SetStoreLoader(upgrade.UpgradeStoreLoader(due.Height, &added))
		}
	}
}
