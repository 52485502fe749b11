package main

import "github.com/spf13/cobra"

// completeFlag has shells complete a flag's value. It panics if there is no such flag.
func completeFlag(command *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := command.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic("main: " + err.Error())
	}
}

// completeWords has shells complete a flag's value from these words.
func completeWords(command *cobra.Command, flag string, words []string) {
	completeFlag(command, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
