package main

import (
	"context"
	"fmt"
)

type (
	getUserRequest    struct{ id int }
	createUserRequest struct{ name string }
	user              struct {
		id   int
		name string
	}
)

// service stands in for the generated client, and for the server behind it. It is for one goroutine.
type service struct {
	fail  int // so many of the next calls are Unavailable
	calls int // so many it has had
	users []user
}

func (s *service) enter() error {
	s.calls++
	if s.fail == 0 {
		return nil
	}
	s.fail--
	return &status{unavailable, "connection closed"}
}

func (s *service) getUser(_ context.Context, req *getUserRequest) (*user, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	if req.id >= len(s.users) {
		return nil, &status{notFound, fmt.Sprintf("user %d", req.id)}
	}
	return &s.users[req.id], nil
}

func (s *service) createUser(_ context.Context, req *createUserRequest) (*user, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	if req.name == "" {
		return nil, &status{failedPrecondition, "no name"}
	}
	s.users = append(s.users, user{len(s.users), req.name})
	return &s.users[len(s.users)-1], nil
}
