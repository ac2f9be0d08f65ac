// The yardstick (c): the platform's Go SDK behind net/http, as its documents show it. Stores nothing.
package main

import (
	"context"
	"net/http"
	"os"

	larkcore "github.com/larksuite/oapi-sdk-go/v3/core"
	"github.com/larksuite/oapi-sdk-go/v3/core/httpserverext"
	larkevent "github.com/larksuite/oapi-sdk-go/v3/event"
	"github.com/larksuite/oapi-sdk-go/v3/event/dispatcher"
	"github.com/larksuite/oapi-sdk-go/v3/event/dispatcher/callback"
)

func followUp(_ context.Context, _ *callback.CardActionTriggerEvent) (*callback.CardActionTriggerResponse, error) {
	return &callback.CardActionTriggerResponse{Toast: &callback.Toast{Type: "info", Content: "正在跟进"}}, nil
}

func main() {
	token, key := os.Getenv("LARK_VERIFICATION_TOKEN"), os.Getenv("LARK_ENCRYPT_KEY")
	handler := dispatcher.NewEventDispatcher(token, key).OnP2CardActionTrigger(followUp)
	quiet := larkevent.WithLogLevel(larkcore.LogLevelError)
	http.HandleFunc("/webhook/card", httpserverext.NewEventHandlerFunc(handler, quiet))
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
