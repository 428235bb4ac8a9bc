package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gaplesspg/gapless/eventstream"
)

// service answers for whichever tenant calls.
type service struct {
	repo *eventstream.Repository
	keys map[string]eventstream.TenantID
}

// newService gives handlers that know no tenant but the caller's: what they are given is the repository for that one.
func newService(repo *eventstream.Repository, keys map[string]eventstream.TenantID) http.Handler {
	s := &service{repo: repo, keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", s.forCaller(placeOrder))
	mux.HandleFunc("GET /orders/{id}", s.forCaller(showOrder))
	mux.HandleFunc("GET /orders", s.forCaller(listOrders))
	return mux
}

// tenantHandler is a handler for the orders of one tenant.
type tenantHandler func(w http.ResponseWriter, r *http.Request, orders *eventstream.Repository) error

// forCaller is the one place where a request meets its tenant.
func (s *service) forCaller(handle tenantHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tenant, known := s.keys[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		if !known {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		err := handle(w, r, s.repo.ForTenant(tenant))
		switch {
		case errors.Is(err, eventstream.ErrStreamNotFound):
			http.Error(w, "no such order", http.StatusNotFound)
		case errors.Is(err, eventstream.ErrTenantMismatch), errors.Is(err, eventstream.ErrVersionConflict):
			http.Error(w, "choose another id", http.StatusConflict)
		case err != nil:
			http.Error(w, "out of order", http.StatusInternalServerError)
		}
	}
}

func placeOrder(w http.ResponseWriter, r *http.Request, orders *eventstream.Repository) error {
	_, err := orders.Append(r.Context(), eventstream.StreamID(r.PathValue("id")), eventstream.Empty,
		eventstream.EventOf("order.placed", map[string]int{"total": 42}))
	if err == nil {
		w.WriteHeader(http.StatusCreated)
	}
	return err
}

func showOrder(w http.ResponseWriter, r *http.Request, orders *eventstream.Repository) error {
	order, err := orders.Load(r.Context(), eventstream.StreamID(r.PathValue("id")))
	if err == nil {
		fmt.Fprintf(w, "%s at version %d", order.StreamID(), order.CurrentVersion())
	}
	return err
}

func listOrders(w http.ResponseWriter, r *http.Request, orders *eventstream.Repository) error {
	var ids []string
	for head, err := range orders.Streams(r.Context(), eventstream.StreamFilter{Category: "order"}) {
		if err != nil {
			return err
		}
		ids = append(ids, string(head.StreamID))
	}
	fmt.Fprint(w, strings.Join(ids, " "))
	return nil
}
