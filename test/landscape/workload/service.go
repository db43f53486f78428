// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// Service is what a Service of Kubernetes is to its clients: one address for all endpoints. Each connection goes to any of them that takes it.
type Service struct {
	endpoints func() []string
	listener  net.Listener
	accepting sync.WaitGroup
}

// NewService begins to serve connections, to the endpoints that there are at the time of each.
func NewService(endpoints func() []string) (*Service, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(Loopback, "0"))
	if err != nil {
		return nil, err
	}
	s := &Service{endpoints: endpoints, listener: listener}
	s.accepting.Go(s.accept)
	return s, nil
}

// Address is where the Service listens.
func (s *Service) Address() string { return s.listener.Addr().String() }

// Close ends the Service. Connections that there are end with their endpoint or their client.
func (s *Service) Close() error {
	err := s.listener.Close()
	s.accepting.Wait()
	return err
}

func (s *Service) accept() {
	for {
		connection, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		go s.forward(connection)
	}
}

func (s *Service) forward(client net.Conn) {
	defer client.Close()
	endpoint, err := s.dial()
	if err != nil {
		return
	}
	defer endpoint.Close()
	ended := make(chan struct{}, 2)
	for _, direction := range [][2]net.Conn{{client, endpoint}, {endpoint, client}} {
		go func() {
			_, _ = io.Copy(direction[0], direction[1])
			ended <- struct{}{}
		}()
	}
	<-ended // closing both ends the other direction
}

func (s *Service) dial() (net.Conn, error) {
	endpoints := s.endpoints()
	rand.Shuffle(len(endpoints), func(i, j int) { endpoints[i], endpoints[j] = endpoints[j], endpoints[i] })
	err := errors.New("there is no endpoint")
	for _, endpoint := range endpoints {
		var connection net.Conn
		if connection, err = net.Dial("tcp", endpoint); err == nil {
			return connection, nil
		}
	}
	return nil, err
}
