"""Every bench that brings its own stack, one after the other; `memory` wants a running demo."""

from bench import graphql, mqtt, replay, visible

if __name__ == "__main__":
    for one in (replay, mqtt, visible, graphql):
        one.main()
