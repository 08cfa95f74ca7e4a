// A small chain of the Cosmos SDK, with governance and with CometBFT inside, whose releases v2 and v3 carry out
// upgrades. It exists to be looked after in tests.
package main

import (
	"errors"
	"io"
	"os"

	"cosmossdk.io/depinject"
	"cosmossdk.io/log"
	comet "github.com/cometbft/cometbft/config"
	database "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/codec"
	codec_types "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/server"
	command "github.com/cosmos/cosmos-sdk/server/cmd"
	server_config "github.com/cosmos/cosmos-sdk/server/config"
	server_types "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/version"
	"github.com/cosmos/cosmos-sdk/x/auth/types"
	genutil "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	"github.com/spf13/cobra"
)

const name = "chaind"

func main() {
	version.Name, version.AppName, version.Version = "chain", name, release
	home := os.ExpandEnv("$HOME/." + name)
	root, err := rootCommand(home)
	if err == nil {
		err = command.Execute(root, "", home)
	}
	if err != nil {
		os.Exit(1)
	}
}

func rootCommand(home string) (*cobra.Command, error) {
	var (
		basics   module.BasicManager
		context  client.Context
		registry codec_types.InterfaceRegistry
		coder    codec.Codec
		amino    *codec.LegacyAmino
		txs      client.TxConfig
	)
	everything := depinject.Configs(chainConfig(), depinject.Supply(log.NewNopLogger()))
	if err := depinject.Inject(everything, &basics, &registry, &coder, &amino, &txs); err != nil {
		return nil, err
	}
	context = client.Context{}.
		WithCodec(coder).WithInterfaceRegistry(registry).WithLegacyAmino(amino).WithTxConfig(txs).
		WithInput(os.Stdin).WithAccountRetriever(types.AccountRetriever{}).WithHomeDir(home).WithViper("")
	root := &cobra.Command{
		Use:          name,
		Short:        "A chain to be looked after in tests",
		SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return prepare(cmd, context)
		},
	}
	addCommands(root, basics, txs, home)
	return root, nil
}

// What every command needs to know of the node's configuration.
func prepare(cmd *cobra.Command, context client.Context) error {
	cmd.SetOut(cmd.OutOrStdout())
	cmd.SetErr(cmd.ErrOrStderr())
	context = context.WithCmdContext(cmd.Context())
	context, err := client.ReadPersistentCommandFlags(context, cmd.Flags())
	if err == nil {
		context, err = config.ReadFromClientConfig(context)
	}
	if err == nil {
		err = client.SetCmdClientContextHandler(context, cmd)
	}
	if err != nil {
		return err
	}
	return server.InterceptConfigsPreRunHandler(
		cmd, server_config.DefaultConfigTemplate, server_config.DefaultConfig(), comet.DefaultConfig())
}

func addCommands(root *cobra.Command, basics module.BasicManager, txs client.TxConfig, home string) {
	query := &cobra.Command{Use: "query", Short: "Ask a node", RunE: client.ValidateCmd}
	query.AddCommand(server.QueryBlockCmd(), server.QueryBlockResultsCmd())
	send := &cobra.Command{Use: "tx", Short: "Send a transaction", RunE: client.ValidateCmd}
	basics.AddTxCommands(send)
	for _, group := range []*cobra.Command{query, send} {
		group.PersistentFlags().String(flags.FlagChainID, "", "The chain's id")
	}
	server.AddCommands(root, home, newChain, export, func(*cobra.Command) {})
	root.AddCommand(
		genutil.InitCmd(basics, home), genutil.Commands(txs, basics, home),
		keys.Commands(), server.StatusCommand(), query, send)
}

func export(
	log.Logger, database.DB, io.Writer, int64, bool, []string, server_types.AppOptions, []string,
) (server_types.ExportedApp, error) {
	return server_types.ExportedApp{}, errors.New("this chain is not exported")
}
