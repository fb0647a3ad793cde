// Calls 1Password's own client for Go the way External Secrets' provider does, and prints what it got as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/1Password/connect-sdk-go/connect"
	"github.com/1Password/connect-sdk-go/onepassword"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	client := must(connect.NewClientFromEnvironment())
	vault := must(client.GetVault("lab"))
	items := must(client.GetItems("lab"))
	item := must(client.GetItem("miniflux", "lab"))
	byID := must(client.GetItem(item.ID, vault.ID))
	document := must(client.GetItem("certificate", vault.ID))
	files := must(client.GetFiles(document.ID, vault.ID))
	content := must(client.GetFileContent(&files[0]))
	// As PushSecret does: a field without an identifier, then a new value, then the whole item goes.
	pushed := must(client.CreateItem(&onepassword.Item{
		Title: "pushed", Category: onepassword.Server, Vault: onepassword.ItemVault{ID: vault.ID},
		Fields: []*onepassword.ItemField{{Label: "password", Value: "one", Type: onepassword.FieldTypeConcealed}},
		Tags:   []string{"from-a-cluster"},
	}, "lab"))
	pushed.Fields[0].Value = "two"
	updated := must(client.UpdateItem(pushed, vault.ID))
	if err := client.DeleteItem(updated, vault.ID); err != nil {
		must(0, err)
	}
	_, gone := client.GetItemByUUID(updated.ID, vault.ID)
	_, foreign := client.GetVaultByTitle("people")
	var config struct {
		Pat string `opitem:"gandi" opsection:"api" opfield:"pat" opvault:"s7gkrudnbpjqs62tr7ozctyjzu"`
	}
	err := client.LoadStruct(&config)
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"vault": vault.Name, "items": len(items), "password": item.GetValue("password"), "same": byID.ID == item.ID,
		"file": string(content), "updated": updated.Fields[0].Value, "gone": gone.Error(),
		"foreign": foreign.Error(), "pat": config.Pat, "load": fmt.Sprint(err),
	})
}
